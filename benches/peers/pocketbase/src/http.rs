//! One HTTP connection that is kept open, with no more of HTTP than PocketBase answers here.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use peer_protocol::Outcome;

pub struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
    /// Kept from request to request.
    request: Vec<u8>,
    line: String,
}

pub struct Reply {
    pub status: u16,
    body: Vec<u8>,
}

impl Connection {
    /// Waits up to 10 s until the server listens.
    pub fn open(port: u16) -> Outcome<Self> {
        let host = format!("127.0.0.1:{port}");
        let mut tries = 0;
        let stream = loop {
            match TcpStream::connect(&host) {
                Ok(stream) => break stream,
                Err(error) if tries == 200 => return Err(error.into()),
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
            tries += 1;
        };
        stream.set_nodelay(true)?;
        let stream = BufReader::new(stream);
        Ok(Self { stream, host, request: Vec::new(), line: String::new() })
    }

    pub fn ask(
        &mut self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &str,
    ) -> Outcome<Reply> {
        let Self { request, host, .. } = self;
        request.clear();
        write!(request, "{method} {path} HTTP/1.1\r\nHost: {host}\r\n")?;
        if let Some(token) = token {
            write!(request, "Authorization: {token}\r\n")?;
        }
        if method != "GET" {
            write!(request, "Content-Length: {}\r\n", body.len())?;
        }
        write!(request, "\r\n{body}")?;
        self.stream.get_mut().write_all(&self.request)?;
        self.reply()
    }

    fn reply(&mut self) -> Outcome<Reply> {
        let status = self.line()?.split(' ').nth(1).ok_or("no status")?.parse()?;
        let mut reply = Reply { status, body: Vec::new() };
        let (mut length, mut is_chunked) = (0, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(": ") {
                Some(("content-length", bytes)) => length = bytes.parse()?,
                Some(("transfer-encoding", _)) => is_chunked = true,
                Some(_) => {}
                None => break,
            }
        }
        if !is_chunked {
            self.read(length, &mut reply.body)?;
            return Ok(reply);
        }
        loop {
            let length = usize::from_str_radix(self.line()?, 16)?;
            self.read(length, &mut reply.body)?;
            self.line()?;
            if length == 0 {
                return Ok(reply);
            }
        }
    }

    fn line(&mut self) -> Outcome<&str> {
        self.line.clear();
        if self.stream.read_line(&mut self.line)? == 0 {
            return Err("the server hung up".into());
        }
        Ok(self.line.trim_end())
    }

    fn read(&mut self, length: usize, to: &mut Vec<u8>) -> Outcome<()> {
        let from = to.len();
        to.resize(from + length, 0);
        Ok(self.stream.read_exact(&mut to[from..])?)
    }
}

impl Reply {
    /// The body, if the status is this one.
    pub fn expect(self, status: u16) -> Outcome<String> {
        let body = String::from_utf8(self.body)?;
        if self.status == status {
            Ok(body)
        } else {
            Err(format!("status {} and not {status}: {body}", self.status).into())
        }
    }
}
