//! Whether the machine runs on its battery.

use std::{fs, path::Path};

/// False where the system does not say.
pub(super) fn is_on_battery() -> bool {
    is_on_battery_in(Path::new("/sys/class/power_supply"))
}

/// On battery: there is a mains supply, and none is plugged in.
fn is_on_battery_in(supplies: &Path) -> bool {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let mut mains = fs::read_dir(supplies)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|supply| read(&supply.join("type")).trim() == "Mains")
        .map(|supply| read(&supply.join("online")).trim() == "1")
        .peekable();
    mains.peek().is_some() && !mains.any(|is_plugged_in| is_plugged_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(supplies: &[(&str, &str, &str)], expected: bool) {
        let temp = tempfile::tempdir().expect("temporary folder");
        for (name, kind, online) in supplies {
            let supply = temp.path().join(name);
            fs::create_dir(&supply).expect("made");
            fs::write(supply.join("type"), format!("{kind}\n")).expect("written");
            fs::write(supply.join("online"), format!("{online}\n")).expect("written");
        }
        assert_eq!(is_on_battery_in(temp.path()), expected, "{supplies:?}");
    }

    #[test]
    fn only_a_mains_supply_that_is_not_plugged_in_means_battery() {
        check(&[], false);
        check(&[("BAT0", "Battery", "1")], false);
        check(&[("AC", "Mains", "1"), ("BAT0", "Battery", "1")], false);
        check(&[("AC", "Mains", "0"), ("BAT0", "Battery", "1")], true);
        check(&[("AC", "Mains", "0"), ("USBC", "Mains", "1")], false);
    }
}
