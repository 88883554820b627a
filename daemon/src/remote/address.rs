//! Which servers may be named: `https` anywhere but at addresses that belong to the machine's
//! surroundings, plain `http` on this machine alone. Names are checked again when they are resolved, so
//! that a name server cannot point somewhere else.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
};

use url::{Host, Url};

/// A checked address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    url: Url,
    /// Not encrypted, so never beyond this machine.
    pub(super) is_plain: bool,
}

impl Address {
    /// # Errors
    /// What is wrong with it, fit to follow the setting's name.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|err| format!("`{}` is no URL: {err}", shown(text)))?;
        let is_plain = match url.scheme() {
            "https" => false,
            "http" => true,
            other => {
                return Err(format!(
                    "`{other}` is not supported; name an https URL, or an http URL on this machine"
                ));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a key does not belong into the URL; use remote.key-file".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("a URL with `?` or `#` is not supported; name the server's base".to_owned());
        }
        let ip = match url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            Some(Host::Domain("localhost")) => None,
            Some(Host::Domain(_)) if !is_plain => None,
            Some(Host::Domain(name)) => {
                return Err(format!("http to `{name}` is not encrypted; use https"));
            }
            None => return Err("it names no host".to_owned()),
        };
        if let Some(ip) = ip {
            check(ip, is_plain)?;
        }
        Ok(Self { url, is_plain })
    }

    /// Scheme, host and port, for people and logs.
    pub(super) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// The address of `path` below the base, as it is shown.
    pub(super) fn join(&self, path: &str) -> Url {
        let base = self.url.path().trim_end_matches('/');
        let mut url = self.url.clone();
        // A base that is the whole address already, or has the version in it.
        let path = if base.ends_with(path) {
            base.to_owned()
        } else if let (true, Some(rest)) = (base.ends_with("/v1"), path.strip_prefix("/v1")) {
            format!("{base}{rest}")
        } else {
            format!("{base}{path}")
        };
        url.set_path(&path);
        url
    }

    /// Never leaves this machine.
    pub(super) fn is_local(&self) -> bool {
        match self.url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        }
    }
}

/// All addresses of `host:port`; fails if one of them is forbidden.
pub(super) fn resolve(netloc: &str, must_be_local: bool) -> io::Result<Vec<SocketAddr>> {
    let addresses: Vec<SocketAddr> = netloc.to_socket_addrs()?.collect();
    for address in &addresses {
        check(address.ip(), must_be_local)
            .map_err(|reason| io::Error::new(io::ErrorKind::PermissionDenied, reason))?;
    }
    Ok(addresses)
}

fn check(ip: IpAddr, must_be_local: bool) -> Result<(), String> {
    let ip = ip.to_canonical();
    if ip.is_loopback() {
        return Ok(());
    }
    if must_be_local {
        return Err(format!("http to `{ip}` is not encrypted; use https"));
    }
    let is_surroundings = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        // Link-local, and the unique local address of a cloud's metadata service.
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.segments()[..2] == [0xfd00, 0x0ec2],
    };
    if is_surroundings || ip.is_unspecified() || ip.is_multicast() {
        return Err(format!("`{ip}` is not the address of a server"));
    }
    Ok(())
}

/// What a person wrote, without what may be a key in it.
fn shown(text: &str) -> String {
    match text.split_once('@') {
        Some((_, host)) => format!("...@{host}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check_addresses(addresses: &str, expected: Expect) {
        let line = |text: &str| match Address::parse(text) {
            Ok(address) => format!(
                "{text} -> {}{}\n",
                address.join("/v1/completions"),
                if address.is_local() { " (local)" } else { "" }
            ),
            Err(reason) => format!("{text}: {reason}\n"),
        };
        expected.assert_eq(&addresses.split_whitespace().map(line).collect::<String>());
    }

    #[test]
    fn https_anywhere_and_http_on_this_machine() {
        check_addresses(
            "https://models.example https://models.example/v1/ https://10.0.0.7:8443/api \
             http://127.0.0.1:8080 http://localhost:11434/ http://[::1]:80/v1/completions \
             https://localhost:8443",
            expect![[r#"
                https://models.example -> https://models.example/v1/completions
                https://models.example/v1/ -> https://models.example/v1/completions
                https://10.0.0.7:8443/api -> https://10.0.0.7:8443/api/v1/completions
                http://127.0.0.1:8080 -> http://127.0.0.1:8080/v1/completions (local)
                http://localhost:11434/ -> http://localhost:11434/v1/completions (local)
                http://[::1]:80/v1/completions -> http://[::1]/v1/completions (local)
                https://localhost:8443 -> https://localhost:8443/v1/completions (local)
            "#]],
        );
    }

    #[test]
    fn everything_else_is_refused() {
        check_addresses(
            "http://models.example http://192.168.0.7 http://localhost.evil.example \
             http://127.0.0.1.evil.example http://0.0.0.0:80 http://[::] http://2130706433.example \
             https://169.254.169.254/latest https://[fe80::1] https://[fd00:ec2::254] \
             https://[::ffff:169.254.169.254] https://0.0.0.0 https://224.0.0.1 \
             file:///etc/passwd unix:///run/x.sock ftp://h data:text/plain,x ws://127.0.0.1 \
             https://user:sk-123@models.example https://models.example/?key=1 https://models.example/#x \
             models.example //models.example",
            expect![[r#"
                http://models.example: http to `models.example` is not encrypted; use https
                http://192.168.0.7: http to `192.168.0.7` is not encrypted; use https
                http://localhost.evil.example: http to `localhost.evil.example` is not encrypted; use https
                http://127.0.0.1.evil.example: http to `127.0.0.1.evil.example` is not encrypted; use https
                http://0.0.0.0:80: http to `0.0.0.0` is not encrypted; use https
                http://[::]: http to `::` is not encrypted; use https
                http://2130706433.example: http to `2130706433.example` is not encrypted; use https
                https://169.254.169.254/latest: `169.254.169.254` is not the address of a server
                https://[fe80::1]: `fe80::1` is not the address of a server
                https://[fd00:ec2::254]: `fd00:ec2::254` is not the address of a server
                https://[::ffff:169.254.169.254]: `169.254.169.254` is not the address of a server
                https://0.0.0.0: `0.0.0.0` is not the address of a server
                https://224.0.0.1: `224.0.0.1` is not the address of a server
                file:///etc/passwd: `file` is not supported; name an https URL, or an http URL on this machine
                unix:///run/x.sock: `unix` is not supported; name an https URL, or an http URL on this machine
                ftp://h: `ftp` is not supported; name an https URL, or an http URL on this machine
                data:text/plain,x: `data` is not supported; name an https URL, or an http URL on this machine
                ws://127.0.0.1: `ws` is not supported; name an https URL, or an http URL on this machine
                https://user:sk-123@models.example: a key does not belong into the URL; use remote.key-file
                https://models.example/?key=1: a URL with `?` or `#` is not supported; name the server's base
                https://models.example/#x: a URL with `?` or `#` is not supported; name the server's base
                models.example: `models.example` is no URL: relative URL without a base
                //models.example: `//models.example` is no URL: relative URL without a base
            "#]],
        );
    }

    #[test]
    fn names_are_checked_where_they_point() {
        assert!(resolve("127.0.0.1:80", true).is_ok());
        assert!(resolve("[::ffff:127.0.0.1]:80", true).is_ok());
        for (netloc, must_be_local) in
            [("192.0.2.1:80", true), ("169.254.169.254:443", false), ("[::]:443", false)]
        {
            let err = resolve(netloc, must_be_local).expect_err(netloc);
            assert_eq!(err.kind(), io::ErrorKind::PermissionDenied, "{netloc}");
        }
    }
}
