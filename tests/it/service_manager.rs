//! The real program under a service manager: sockets that were made before it, and what it is told.
//!
//! systemd is played by this test: it opens the socket, hands it over as descriptor 3, and listens to
//! `NOTIFY_SOCKET`.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, RawFd};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::{TcpStream, UnixDatagram};
use tokio::process::{Child, Command};

use crate::support::client::Client;
use crate::support::in_time;
use crate::support::upstream::Upstream;

/// A Cyan that is started as systemd starts it; it is killed when dropped.
struct Unit {
    socket: TcpListener,
    /// Handed over as well, and not in the config.
    spare: Option<TcpListener>,
    told: UnixDatagram,
    folder: TempDir,
    child: Option<Child>,
}

impl Unit {
    fn new(upstream: &Upstream) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = listening("127.0.0.1:0".parse().unwrap());
        let told = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        let text = format!(
            "state_dir = \"{}\"\nlisten.http = \"{}\"\nadmin.address = \"127.0.0.1:0\"\n\
             [environment.blue]\nupstreams = [\"{}\"]\n",
            folder.path().join("state").display(),
            socket.local_addr().unwrap(),
            upstream.url()
        );
        std::fs::write(folder.path().join("cyan.toml"), text).unwrap();
        Self { socket, spare: None, told, folder, child: None }
    }

    fn start(&mut self) {
        let handed = [Some(&self.socket), self.spare.as_ref()];
        let handed: Vec<RawFd> = handed.into_iter().flatten().map(AsRawFd::as_raw_fd).collect();
        let count = handed.len();
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = Command::new("sh");
        // The shell's process id becomes Cyan's; nobody else may take the socket.
        command
            .args(["-c", "LISTEN_PID=$$ exec \"$CYAN\" serve cyan.toml"])
            .current_dir(self.folder.path())
            .env_clear()
            .env("CYAN", env!("CARGO_BIN_EXE_cyan"))
            .env("LISTEN_FDS", count.to_string())
            .env("LISTEN_FDNAMES", "web:spare")
            .env("NOTIFY_SOCKET", self.folder.path().join("notify"))
            .env("WATCHDOG_USEC", "3000000")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        // SAFETY: between fork and exec only this call is made, which is safe there.
        unsafe { command.pre_exec(move || descend(&handed)) };
        self.child = Some(command.spawn().unwrap());
    }

    /// The next thing that the manager is told.
    async fn hear(&self) -> String {
        let mut said = [0; 64];
        let length = in_time(self.told.recv(&mut said)).await.unwrap();
        String::from_utf8(said[..length].to_vec()).unwrap()
    }

    /// SIGTERM, and the wait for the end; the socket stays.
    async fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let pid = i32::try_from(child.id().unwrap()).unwrap();
        // SAFETY: no memory is touched; the process is our child and has not been waited for.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
        assert!(in_time(child.wait()).await.unwrap().success());
    }
}

/// A socket beside which others may listen at the same address.
fn listening(address: SocketAddr) -> TcpListener {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(128).unwrap();
    socket.into()
}

/// Makes the sockets descriptors from 3 on, which the program inherits; the standard library's own it would
/// not.
fn descend(handed: &[RawFd]) -> io::Result<()> {
    const OUT_OF_THE_WAY: RawFd = 100;
    for (socket, wanted) in handed.iter().zip(OUT_OF_THE_WAY..) {
        // SAFETY: descriptors of a process that is about to become another; no memory is touched.
        if unsafe { libc::dup3(*socket, wanted, libc::O_CLOEXEC) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    for (socket, wanted) in (OUT_OF_THE_WAY..).zip(3..).take(handed.len()) {
        // SAFETY: as above.
        if unsafe { libc::dup2(socket, wanted) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_comes_between_two_processes_is_served_by_the_second() {
    let upstream = Upstream::replying(200, "hello").await;
    let mut unit = Unit::new(&upstream);
    unit.start();
    assert_eq!(unit.hear().await, "READY=1");
    let address = unit.socket.local_addr().unwrap();
    assert_eq!(Client::connect(address).await.get("/", "").await.body, b"hello");
    unit.stop().await;
    let mut waiting = Client::connect(address).await; // nobody runs, and nobody is refused
    unit.start();
    assert_eq!(in_time(waiting.get("/", "")).await.body, b"hello");
}

/// A client of one that nobody accepts from would wait for ever.
#[tokio::test]
async fn a_socket_that_is_no_listeners_is_closed_with_a_warning() {
    let upstream = Upstream::replying(200, "hello").await;
    let mut unit = Unit::new(&upstream);
    let spare = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = spare.local_addr().unwrap();
    unit.spare = Some(spare);
    unit.start();
    unit.spare = None;
    assert_eq!(unit.hear().await, "READY=1");
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    let log = std::fs::read_to_string(unit.folder.path().join("log")).unwrap();
    let warned = log.lines().find(|line| line.contains("no listener's")).expect("a warning");
    for named in [address.to_string().as_str(), "spare"] {
        assert!(warned.contains(named), "{warned}");
    }
    let address = unit.socket.local_addr().unwrap();
    assert_eq!(Client::connect(address).await.get("/", "").await.body, b"hello");
}

/// Of one address there may be several: the kernel spreads clients over all that listen.
#[tokio::test]
async fn all_sockets_of_an_address_are_accepted_from() {
    let upstream = Upstream::replying(200, "hello").await;
    let mut unit = Unit::new(&upstream);
    let address = unit.socket.local_addr().unwrap();
    unit.spare = Some(listening(address));
    unit.start();
    assert_eq!(unit.hear().await, "READY=1");
    for _ in 0..24 {
        let mut client = Client::connect(address).await;
        assert_eq!(in_time(client.get("/", "")).await.body, b"hello");
    }
}

#[tokio::test]
async fn the_manager_is_told_of_the_start_of_life_and_of_the_end() {
    let upstream = Upstream::replying(200, "hello").await;
    let mut unit = Unit::new(&upstream);
    unit.start();
    assert_eq!(unit.hear().await, "READY=1");
    assert_eq!(unit.hear().await, "WATCHDOG=1");
    unit.stop().await;
    let mut last = unit.hear().await;
    while last == "WATCHDOG=1" {
        last = unit.hear().await;
    }
    assert_eq!(last, "STOPPING=1");
}

/// SIGUSR2: the program that stands at the same place now takes over, as a child of the service.
#[tokio::test]
async fn the_manager_is_told_of_a_process_that_takes_over() {
    let upstream = Upstream::replying(200, "hello").await;
    let mut unit = Unit::new(&upstream);
    unit.start();
    assert_eq!(unit.hear().await, "READY=1");
    let address = unit.socket.local_addr().unwrap();
    let mut before = unit.child.take().unwrap();
    let pid = i32::try_from(before.id().unwrap()).unwrap();
    // SAFETY: no memory is touched; the process is our child and has not been waited for.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGUSR2) }, 0);
    let mut told = Vec::new();
    let heir = loop {
        let words = unit.hear().await;
        if let Some(pid) = words.strip_prefix("MAINPID=") {
            break pid.parse::<i32>().unwrap();
        }
        told.push(words);
    };
    assert_ne!(heir, pid);
    assert!(in_time(before.wait()).await.unwrap().success(), "it ends when it has drained");
    assert_eq!(Client::connect(address).await.get("/", "").await.body, b"hello");
    while !told.iter().any(|words| words == "READY=1") {
        told.push(unit.hear().await);
    }
    assert!(!told.iter().any(|words| words == "STOPPING=1"), "the service goes on: {told:?}");
    // SAFETY: no memory is touched; the process was started for this test and has just answered.
    assert_eq!(unsafe { libc::kill(heir, libc::SIGTERM) }, 0);
    let mut last = unit.hear().await;
    while last != "STOPPING=1" {
        last = unit.hear().await;
    }
}
