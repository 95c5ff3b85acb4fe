//! Redis over loopback: a GET for each load, on one connection that is kept open.
//!
//! The first process starts a server of its own for the directory, the second one uses it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use peer_protocol::{Outcome, Peer, Server, serve};
use redis::{Commands, Connection};

const LIFETIME_S: u64 = 86_400;

struct Redis {
    connection: Connection,
    _server: Server,
    keys: Vec<String>,
}

impl Peer for Redis {
    type Presented = String;

    fn open(directory: &Path, _: Option<&str>) -> Outcome<Result<Self, String>> {
        let Some(server) = Server::of(directory, |port| start(directory, port))? else {
            return Ok(Err("redis-server is not installed".to_owned()));
        };
        let connection = connect(server.port)?;
        Ok(Ok(Self { connection, _server: server, keys: Vec::new() }))
    }

    fn fill(&mut self, count: usize) -> Outcome<()> {
        self.keys = (0..count).map(|number| format!("session:{number:032x}")).collect();
        for keys in self.keys.chunks(1_000) {
            let mut pipe = redis::pipe();
            for key in keys {
                pipe.set_ex(key, [7_u8; 64].as_slice(), LIFETIME_S).ignore();
            }
            pipe.query::<()>(&mut self.connection)?;
        }
        Ok(())
    }

    fn presented(&self, number: usize) -> String {
        self.keys[number].clone()
    }

    fn load(&mut self, presented: &[String]) -> Outcome<usize> {
        let mut live = 0;
        for key in presented {
            let found: Option<Vec<u8>> = self.connection.get(key)?;
            live += usize::from(found.is_some());
        }
        Ok(live)
    }

    fn open_one(&mut self) -> Outcome<String> {
        let number: u64 = self.connection.incr("victims", 1)?;
        let key = format!("victim:{number}");
        self.connection.set_ex::<_, _, ()>(&key, [7_u8; 64].as_slice(), LIFETIME_S)?;
        Ok(key)
    }

    fn is_live(&mut self, token: &str) -> Outcome<bool> {
        let found: Option<Vec<u8>> = self.connection.get(token)?;
        Ok(found.is_some())
    }

    fn end(&mut self, token: &str) -> Outcome<()> {
        Ok(self.connection.del::<_, ()>(token)?)
    }
}

fn start(directory: &Path, port: u16) -> Outcome<Child> {
    Ok(Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--port"])
        .arg(port.to_string())
        .current_dir(directory)
        .stdout(Stdio::null())
        .spawn()?)
}

fn connect(port: u16) -> Outcome<Connection> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/"))?;
    let mut tries = 0;
    loop {
        match client.get_connection() {
            Ok(connection) => return Ok(connection),
            Err(error) if tries == 100 => return Err(error.into()),
            // It has only just been started.
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
        tries += 1;
    }
}

fn main() -> Outcome<()> {
    serve::<Redis>()
}
