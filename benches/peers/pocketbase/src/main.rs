//! PocketBase, as it is installed: over HTTP on one connection that is kept open, or (form `hook`)
//! by the call of its own process, from a hook in JavaScript that checks many tokens in a request.
//!
//! The first process starts a server of its own for the directory, the second one uses it.

mod http;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use peer_protocol::{Outcome, Peer, Server, serve};

use http::Connection;

const HOOKS: &str = include_str!("../peer.pb.js");

struct PocketBase {
    connection: Connection,
    _server: Server,
    in_hook: bool,
    tokens: Vec<String>,
}

impl Peer for PocketBase {
    type Presented = String;

    fn open(directory: &Path, form: Option<&str>) -> Outcome<Result<Self, String>> {
        let Some(server) = Server::of(directory, |port| start(directory, port))? else {
            return Ok(Err("pocketbase is not installed".to_owned()));
        };
        let (connection, in_hook) = (Connection::open(server.port)?, form == Some("hook"));
        Ok(Ok(Self { connection, _server: server, in_hook, tokens: Vec::new() }))
    }

    fn fill(&mut self, count: usize) -> Outcome<()> {
        let tokens = self.connection.ask("POST", &format!("/peer/fill/{count}"), None, "")?;
        self.tokens = tokens.expect(200)?.lines().map(str::to_owned).collect();
        Ok(())
    }

    fn presented(&self, number: usize) -> String {
        self.tokens[number].clone()
    }

    fn load(&mut self, presented: &[String]) -> Outcome<usize> {
        if self.in_hook {
            let body = presented.join("\n");
            let live = self.connection.ask("POST", "/peer/checks", None, &body)?;
            return Ok(live.expect(200)?.parse()?);
        }
        let mut live = 0;
        for token in presented {
            live += usize::from(self.is_accepted(token)?);
        }
        Ok(live)
    }

    fn open_one(&mut self) -> Outcome<String> {
        self.connection.ask("POST", "/peer/open", None, "")?.expect(200)
    }

    fn is_live(&mut self, token: &str) -> Outcome<bool> {
        Ok(self.load(&[token.to_owned()])? == 1)
    }

    fn end(&mut self, token: &str) -> Outcome<()> {
        self.connection.ask("POST", "/peer/end", Some(token), "")?.expect(204).map(drop)
    }
}

impl PocketBase {
    fn is_accepted(&mut self, token: &str) -> Outcome<bool> {
        let reply = self.connection.ask("GET", "/peer/check", Some(token), "")?;
        if reply.status == 401 {
            return Ok(false);
        }
        reply.expect(204).map(|_| true)
    }
}

fn start(directory: &Path, port: u16) -> Outcome<Child> {
    let hooks = directory.join("hooks");
    fs::create_dir_all(&hooks)?;
    fs::write(hooks.join("peer.pb.js"), HOOKS)?;
    Ok(Command::new("pocketbase")
        .args(["serve", "--hooksWatch=false", "--http", &format!("127.0.0.1:{port}"), "--dir"])
        .arg(directory.join("data"))
        .arg("--hooksDir")
        .arg(hooks)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?)
}

fn main() -> Outcome<()> {
    serve::<PocketBase>()
}
