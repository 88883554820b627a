//! Who may ask: a program of this user that knows the key, and no page in a browser.

use super::http::{Request, Response};

/// What a request has to show.
pub(super) struct Gate {
    port: u16,
    /// Hashes are compared, in constant time, so that neither content nor length of the key shows in
    /// how long that takes.
    token: blake3::Hash,
}

impl Gate {
    pub(super) fn new(port: u16, token: &str) -> Self {
        Self { port, token: blake3::hash(token.as_bytes()) }
    }

    /// Nothing of the request but its headers is looked at before this.
    pub(super) fn admit(&self, request: &Request) -> Result<(), Response> {
        let forbidden = |why| Err(Response::error(403, why));
        // A name that an attacker's server has pointed here would be another host.
        if !request.only("host").is_some_and(|host| self.is_here(host)) {
            return forbidden("ask 127.0.0.1 or localhost by that name");
        }
        let of_pages = ["origin", "sec-fetch-site", "upgrade", "access-control-request-method"];
        if of_pages.iter().any(|name| request.all(name).next().is_some()) {
            return forbidden("pages of a browser are not answered");
        }
        let shown = request.only("authorization").and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token)
        });
        match shown {
            Some(token) if blake3::hash(token.as_bytes()) == self.token => Ok(()),
            _ => Err(Response::error(
                401,
                "send the key as `Authorization: Bearer KEY`; `fovea serve` says which file has it",
            )),
        }
    }

    fn is_here(&self, host: &str) -> bool {
        host.rsplit_once(':').is_some_and(|(name, port)| {
            (name == "127.0.0.1" || name.eq_ignore_ascii_case("localhost"))
                && port == self.port.to_string()
        })
    }
}
