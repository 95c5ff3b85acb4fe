//! The server of a peer that is a service: the first process starts it for the directory, and the
//! second one uses it.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Child;

use crate::Outcome;

/// A server on a port of its own on loopback. The process that started it ends it.
pub struct Server {
    pub port: u16,
    child: Option<Child>,
}

impl Server {
    /// The server of this directory; `start` starts it on a port. `None` if it cannot be started,
    /// as its program is not installed.
    pub fn of(
        directory: &Path,
        start: impl FnOnce(u16) -> Outcome<Child>,
    ) -> Outcome<Option<Self>> {
        let place = directory.join("port");
        if let Ok(port) = fs::read_to_string(&place) {
            return Ok(Some(Self { port: port.parse()?, child: None }));
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let Ok(child) = start(port) else { return Ok(None) };
        let server = Self { port, child: Some(child) };
        fs::write(&place, port.to_string())?;
        Ok(Some(server))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
