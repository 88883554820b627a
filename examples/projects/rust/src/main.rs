use tideline::{alert, parse::parse_log, reading::Height, report::summary};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(path), Some(limit)) = (args.next(), args.next()) else {
        return Err("usage: tideline LOG LIMIT_METRES".into());
    };
    let series = parse_log(&std::fs::read_to_string(path)?)?;
    println!("{}", summary(&series));
    println!("{:?}", alert::check(&series, Height(limit.parse()?)));
    Ok(())
}
