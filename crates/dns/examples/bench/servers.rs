//! The servers that are compared, each as a process of its own with one thread for queries over UDP.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Failure, load, zone};

/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(20);

/// Name of the file with the zone in the folder of a server.
const ZONE_FILE: &str = "tm.zone";

/// A server that answers.
pub struct Server {
    /// Name and version.
    pub title: String,
    /// Where it answers.
    pub address: SocketAddr,
    process: Child,
    folder: PathBuf,
}

/// What can be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The library of this crate.
    Dns,
    /// NSD of NLnet Labs.
    Nsd,
    /// Knot DNS of CZ.NIC.
    Knot,
    /// CoreDNS.
    CoreDns,
}

impl Kind {
    /// All, ours first.
    pub const ALL: [Self; 4] = [Self::Dns, Self::Nsd, Self::Knot, Self::CoreDns];

    /// Name of the program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Nsd => "nsd",
            Self::Knot => "knotd",
            Self::CoreDns => "coredns",
        }
    }

    fn find(self) -> Result<PathBuf, Failure> {
        if self == Self::Dns {
            return Ok(std::env::current_exe()?);
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let go = std::env::var_os("GOPATH").map(PathBuf::from);
        let go = go.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join("go")));
        let folders = std::env::split_paths(&path)
            // Where packages put servers, and where `go install` puts programs.
            .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
            .chain(go.map(|go| go.join("bin")));
        let mut programs = folders.map(|folder| folder.join(self.name()));
        let hint = match self {
            Self::CoreDns => "`go install github.com/coredns/coredns@latest`",
            _ => "the package of that name, or knot",
        };
        programs
            .find(|program| program.is_file())
            .ok_or_else(|| format!("it is not installed ({hint} brings it)").into())
    }

    /// The configuration, as the file of that name.
    fn configuration(self, folder: &Path, port: u16) -> Option<(&'static str, String)> {
        let folder = folder.display();
        match self {
            Self::Dns => None,
            Self::Nsd => Some((
                "nsd.conf",
                format!(
                    "server:\n  server-count: 1\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  database: \"\"\n  \
                     zonesdir: \"{folder}\"\n  pidfile: \"{folder}/nsd.pid\"\n  xfrdfile: \"{folder}/xfrd.state\"\n  \
                     zonelistfile: \"{folder}/zone.list\"\n  xfrdir: \"{folder}\"\n  rrl-ratelimit: 0\n  \
                     rrl-whitelist-ratelimit: 0\nremote-control:\n  control-enable: no\nzone:\n  name: {}\n  zonefile: \
                     {ZONE_FILE}\n",
                    zone::ORIGIN
                ),
            )),
            Self::Knot => Some((
                "knot.conf",
                format!(
                    "server:\n    rundir: {folder}\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    tcp-workers: 1\n    \
                     background-workers: 1\nlog:\n  - target: stderr\n    any: warning\ndatabase:\n    storage: \
                     {folder}/db\nzone:\n  - domain: {}\n    storage: {folder}\n    file: {ZONE_FILE}\n    zonefile-sync: \
                     -1\n    journal-content: none\n",
                    zone::ORIGIN
                ),
            )),
            Self::CoreDns => Some((
                "Corefile",
                format!(
                    "{}:{port} {{\n    bind 127.0.0.1\n    file {folder}/{ZONE_FILE}\n}}\n",
                    zone::ORIGIN
                ),
            )),
        }
    }

    fn arguments(self, configuration: &Path, port: u16) -> Vec<String> {
        let file = configuration.display().to_string();
        match self {
            Self::Dns => vec!["serve".to_owned(), format!("--listen=127.0.0.1:{port}")],
            Self::Nsd => vec!["-d".to_owned(), "-c".to_owned(), file],
            Self::Knot => vec!["-c".to_owned(), file],
            Self::CoreDns => vec!["-conf".to_owned(), file],
        }
    }

    fn version(self, program: &Path) -> Result<String, Failure> {
        let argument = match self {
            Self::Dns => return Ok(env!("CARGO_PKG_VERSION").to_owned()),
            Self::Nsd => "-v",
            Self::Knot => "--version",
            Self::CoreDns => "-version",
        };
        let output = Command::new(program).arg(argument).output()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let first = text.lines().next().unwrap_or_default();
        let version = first
            .split([' ', '-', ','])
            .find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        Ok(version.unwrap_or("of unknown version").to_owned())
    }

    /// Starts one that has the zone, and waits until it answers. `folder` is for its files.
    ///
    /// # Errors
    /// When it is not installed, ends at once or does not answer.
    pub fn start(self, folder: &Path) -> Result<Server, Failure> {
        let program = self.find()?;
        let folder = folder.join(self.name());
        std::fs::create_dir_all(folder.join("db"))?;
        std::fs::write(folder.join(ZONE_FILE), zone::master_file())?;
        let address = free_address()?;
        let mut configuration = folder.clone();
        if let Some((name, text)) = self.configuration(&folder, address.port()) {
            configuration.push(name);
            std::fs::write(&configuration, text)?;
        }
        let log = File::create(folder.join("log"))?;
        let process = Command::new(&program)
            .args(self.arguments(&configuration, address.port()))
            // Go programs run that many threads of their code; others do not know it.
            .env("GOMAXPROCS", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut server = Server {
            title: format!("{} {}", self.name(), self.version(&program)?),
            address,
            process,
            folder,
        };
        server.wait_until_it_answers()?;
        Ok(server)
    }
}

impl Server {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    fn wait_until_it_answers(&mut self) -> Result<(), Failure> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(self.address)?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let name = zone::names().next().unwrap_or_default();
        let packet = [vec![0, 7], load::question(&name)].concat();
        let began = Instant::now();
        let mut answer = [0; 512];
        while began.elapsed() < START {
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("it ended with {status}: {}", self.log()).into());
            }
            // Nobody listens yet, or nobody answers yet.
            let answered = socket.send(&packet).and_then(|_| socket.recv(&mut answer));
            if answered.is_ok_and(|length| load::is_good(&answer[..length])) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("it does not answer: {}", self.log()).into())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // NSD ends its children when it is asked to end, and leaves them when it is killed.
        let pid = nix::unistd::Pid::from_raw(self.process.id() as i32);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(5) {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An address that is free for both UDP and TCP.
fn free_address() -> Result<SocketAddr, Failure> {
    for _ in 0..100 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err("no port is free for both UDP and TCP".into())
}
