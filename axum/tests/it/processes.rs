//! Servers in processes of their own, on one file, over sockets.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use gatepost::policy::SessionPolicy;
use gatepost::{NewUser, Options, Store};
use gatepost_axum::{Auth, serve};
use tokio::net::TcpListener;

use crate::world::{PASSWORD, app};

const ROUNDS: usize = 300;
/// Before the port that a server prints, as the test harness prints, too.
const MARK: &str = "@ ";
/// Before the path that a server is given, which the harness would take for a filter otherwise.
const WORD: char = '=';

fn options() -> Options {
    Options::for_tests().sessions(SessionPolicy::web())
}

/// The program of a server process. As a test, without the path of a file, it does nothing.
#[test]
fn role() {
    let mut words = std::env::args().filter_map(|word| word.strip_prefix(WORD).map(str::to_owned));
    let Some(path) = words.next_back() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let served = runtime.block_on(async {
        let auth = Auth::new(Store::open(path, options()).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("\n{MARK}{}", listener.local_addr().unwrap().port());
        serve(&auth, listener, app(auth.clone())).await
    });
    served.unwrap();
}

/// A server in another process; killed if it is dropped.
struct Server {
    process: Child,
    port: u16,
    /// Kept open, as the test harness prints at the end.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Server {
    fn start(path: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "processes::role", "--nocapture"]);
        command.arg(format!("{WORD}{}", path.display()));
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut lines = output.by_ref().map(Result::unwrap);
        let port = lines.find_map(|line| line.strip_prefix(MARK)?.parse().ok()).unwrap();
        Self { process, port, _output: output }
    }

    fn connect(&self) -> Connection {
        Connection(BufReader::new(TcpStream::connect(("127.0.0.1", self.port)).unwrap()))
    }

    fn terminate(mut self) -> ExitStatus {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.process.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A connection that is kept open.
struct Connection(BufReader<TcpStream>);

impl Connection {
    /// The status, and the cookies that are set, as a header `Cookie` has them.
    fn send(&mut self, request: &str, cookies: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let text = format!(
            "{request} HTTP/1.1\r\nhost: localhost\r\ncookie: {cookies}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let values = |name: &str| -> Vec<String> {
            let headers = lines.iter().filter_map(|line| line.split_once(": "));
            headers.filter(|(found, _)| *found == name).map(|(_, value)| value.into()).collect()
        };
        let length = values("content-length").first().map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        let pairs = values("set-cookie");
        let pairs: Vec<_> = pairs.iter().map(|line| line.split(';').next().unwrap()).collect();
        (lines[0].split(' ').nth(1).unwrap().parse().unwrap(), pairs.join("; "))
    }
}

fn file_with_ada(directory: &Path) -> std::path::PathBuf {
    let path = directory.join("auth.db");
    let store = Store::open(&path, options()).unwrap();
    store.users().create(NewUser::person("ada").password(PASSWORD.into())).unwrap();
    store.close().unwrap();
    path
}

#[test]
fn a_logout_at_one_server_is_refused_by_the_other_at_the_very_next_request() {
    let directory = tempfile::tempdir().unwrap();
    let path = file_with_ada(directory.path());
    let (one, other) = (Server::start(&path), Server::start(&path));
    let (mut one, mut other) = (one.connect(), other.connect());
    let login = format!(r#"{{"username": "ada", "password": "{PASSWORD}"}}"#);
    let mut refused = 0;
    for round in 0..ROUNDS {
        let (at, beside) =
            if round % 2 == 0 { (&mut one, &mut other) } else { (&mut other, &mut one) };
        let (status, cookies) = at.send("POST /auth/login", "", &login);
        assert_eq!(status, 200);
        assert_eq!(beside.send("GET /mine", &cookies, "").0, 200);
        assert_eq!(at.send("POST /auth/logout", &cookies, "").0, 204);
        refused += usize::from(beside.send("GET /mine", &cookies, "").0 == 401);
    }
    println!("{refused} of {ROUNDS} logouts were refused at the very next request");
    assert_eq!(refused, ROUNDS);
}

#[test]
fn a_server_that_gets_a_term_signal_ends_with_success() {
    let directory = tempfile::tempdir().unwrap();
    let path = file_with_ada(directory.path());
    let server = Server::start(&path);
    assert_eq!(server.connect().send("GET /healthz", "", "").0, 200);
    let status = server.terminate();
    assert!(status.success(), "{status}");
    // The store was closed: the last process to close it removes the log.
    assert!(!directory.path().join("auth.db-wal").exists());
}

#[test]
fn a_server_whose_file_was_replaced_ends_with_a_failure() {
    let directory = tempfile::tempdir().unwrap();
    let path = file_with_ada(directory.path());
    let mut server = Server::start(&path);
    let mut connection = server.connect();
    let login = format!(r#"{{"username": "ada", "password": "{PASSWORD}"}}"#);
    let (_, cookies) = connection.send("POST /auth/login", "", &login);
    assert_eq!(connection.send("GET /mine", &cookies, "").0, 200);
    std::fs::rename(&path, directory.path().join("moved.db")).unwrap();
    // A write looks for the file at once.
    assert_eq!(connection.send("POST /auth/login", "", &login).0, 503);
    drop(connection);
    assert!(!server.process.wait().unwrap().success());
}
