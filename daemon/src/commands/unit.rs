//! `fovea daemon unit`: the file with which systemd or launchd keeps the daemon running. Nothing is
//! installed: the file says where it goes.

use std::path::Path;

use crate::cli::UnitKind;

/// The text of the file for this executable.
pub(super) fn text(kind: UnitKind, executable: &Path) -> String {
    match kind {
        UnitKind::Systemd => systemd(executable),
        UnitKind::Launchd => launchd(executable),
    }
}

fn systemd(executable: &Path) -> String {
    let executable = executable.to_string_lossy();
    // Inside quotes systemd reads these characters as its own.
    let quoted = executable.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    let quoted = quoted.replace('$', "$$");
    format!(
        "# Keeps Fovea running for one user. Save as ~/.config/systemd/user/fovea.service, then:
#   systemctl --user daemon-reload
#   systemctl --user enable --now fovea.service
# Without it the first command or editor starts the daemon, and it ends when it is idle.

[Unit]
Description=Fovea: code completion and search for this user's repositories
Documentation=man:fovea(1)

[Service]
Type=exec
ExecStart=\"{quoted}\" daemon run
# Socket activation is not needed: the daemon listens within a few milliseconds.
Environment=FOVEA_DAEMON_IDLE_EXIT_S=0
Restart=on-failure
RestartSec=2
TimeoutStopSec=10
Nice=5
OOMPolicy=continue
UMask=0077
NoNewPrivileges=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictRealtime=yes
LockPersonality=yes

[Install]
WantedBy=default.target
"
    )
}

fn launchd(executable: &Path) -> String {
    let executable = executable.to_string_lossy();
    let escaped = executable.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- Keeps Fovea running for one user. Save as ~/Library/LaunchAgents/dev.fovea.daemon.plist, then:
     launchctl bootstrap gui/$(id -u) ~/Library/LaunchAgents/dev.fovea.daemon.plist -->
<plist version="1.0">
<dict>
    <key>Label</key>
    <string>dev.fovea.daemon</string>
    <key>ProgramArguments</key>
    <array>
        <string>{escaped}</string>
        <string>daemon</string>
        <string>run</string>
    </array>
    <key>EnvironmentVariables</key>
    <dict>
        <key>FOVEA_DAEMON_IDLE_EXIT_S</key>
        <string>0</string>
    </dict>
    <key>RunAtLoad</key>
    <true/>
    <key>KeepAlive</key>
    <dict>
        <key>SuccessfulExit</key>
        <false/>
    </dict>
    <key>ProcessType</key>
    <string>Background</string>
    <key>Umask</key>
    <integer>63</integer>
</dict>
</plist>
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_are_written_as_each_format_wants() {
        let odd = Path::new("/opt/a & b/100%/fo\"vea");
        let unit = text(UnitKind::Systemd, odd);
        assert!(unit.contains("ExecStart=\"/opt/a & b/100%%/fo\\\"vea\" daemon run\n"), "{unit}");
        let plist = text(UnitKind::Launchd, odd);
        assert!(plist.contains("<string>/opt/a &amp; b/100%/fo\"vea</string>"), "{plist}");
    }

    #[test]
    fn systemd_accepts_the_unit_where_it_is_there() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let path = temp.path().join("fovea.service");
        std::fs::write(&path, text(UnitKind::Systemd, Path::new("/bin/sh"))).expect("written");
        let verify = std::process::Command::new("systemd-analyze")
            .args(["--user", "--man=no", "verify"])
            .arg(&path)
            .output();
        if let Ok(output) = verify {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!said.contains("fovea.service"), "{said}");
        }
    }
}
