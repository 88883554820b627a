use tideline::{
    alert::{Alert, check},
    parse::parse_log,
    reading::Height,
};

#[test]
fn a_reading_over_the_limit_is_a_flood() {
    let series = parse_log("0 3.1\n600 4.4\n1200 3.9\n").expect("valid log");
    assert_eq!(check(&series, Height(4.2)), Alert::Flood);
    assert_eq!(series.highest().map(|reading| reading.seconds), Some(600));
}

#[test]
fn high_water_on_average_is_watched() {
    let series = parse_log("0 4.0\n600 4.1\n").expect("valid log");
    assert_eq!(check(&series, Height(4.2)), Alert::Watch);
    assert_eq!(check(&series, Height(6.0)), Alert::None);
}

#[test]
fn a_bad_line_is_named() {
    let error = parse_log("0 3.1\nhigh tide\n").expect_err("second line is no reading");
    assert_eq!(error.to_string(), "line 2: `high tide` is not `seconds metres`");
}
