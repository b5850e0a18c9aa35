//! A database that is not there, goes away, or comes back: the proper errors, and the proxy goes on.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use proto_tests::server::Server;
use proto_tests::transcript::Target;
use proto_tests::wire::VERSION_3_0;
use proto_tests::{Message, Stand, Wire, eventually};

/// A way to the database that can be cut, closed and opened.
struct Bridge {
    port: u16,
    to: u16,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Bridge {
    fn new(to: u16) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        Self { port, to, open: Arc::default() }
    }

    /// Opens it for good.
    fn open(&self) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        let (to, open) = (self.to, Arc::clone(&self.open));
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) else { continue };
                for (from, into) in [(&near, &far), (&far, &near)] {
                    let (from, into) = (from.try_clone().unwrap(), into.try_clone().unwrap());
                    std::thread::spawn(move || carry(from, into));
                }
                open.lock().unwrap().extend([near, far]);
            }
        });
    }

    /// Whoever is on it falls.
    fn cut(&self) {
        for socket in self.open.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

fn carry(mut from: TcpStream, mut into: TcpStream) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        if into.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = into.shutdown(Shutdown::Write);
}

fn login(stand: &Stand) -> Result<Wire, Message> {
    let target = Target::of(stand, "PROXY");
    Wire::try_start(&target.way, VERSION_3_0, &target.who, &target.database, &[]).unwrap()
}

fn fields(message: &Message) -> (Option<String>, Option<String>) {
    (message.field(b'S'), message.field(b'C'))
}

fn fatal(sqlstate: &str) -> (Option<String>, Option<String>) {
    (Some("FATAL".into()), Some(sqlstate.into()))
}

#[test]
fn a_database_that_is_not_there_and_one_that_vanishes() {
    let stand = Stand::start("plain", &["--without-pgveil"]);
    let bridge = Bridge::new(stand.value("PG_PORT").parse().unwrap());
    let config = stand.value("CONFIG");
    let text = std::fs::read_to_string(config).unwrap();
    let there = format!("127.0.0.1:{}", stand.value("PG_PORT"));
    assert!(text.contains(&there));
    std::fs::write(config, text.replace(&there, &format!("127.0.0.1:{}", bridge.port))).unwrap();
    let _server = Server::start(&stand);

    let refused = login(&stand).err().expect("nobody answers there");
    assert_eq!(fields(&refused), fatal("08001"));
    let told = refused.field(b'M').unwrap();
    assert!(told.contains("cannot be reached") && !told.contains(&bridge.port.to_string()), "{told}");

    bridge.open();
    let mut idle = login(&stand).expect("the database is there now");
    let mut busy = login(&stand).unwrap();
    let mut copying = login(&stand).unwrap();
    busy.ask("select 1; select pg_sleep(60)");
    assert_eq!(copying.query("create temp table t(i int)").tags(), "CZ");
    copying.ask("copy t from stdin");
    assert_eq!(copying.read().unwrap().tag, b'G');
    eventually("what was said before is there", || {
        let running = login(&stand).ok()?.query("select count(*) from pg_stat_activity where wait_event = 'PgSleep'");
        (running.rows() == [[Some("1".to_owned())]]).then_some(())
    });
    bridge.cut();
    for wire in [&mut idle, &mut busy, &mut copying] {
        let reply = wire.reply();
        let last = reply.messages.last().expect("there is a last word");
        assert_eq!((last.tag, fields(last)), (b'E', fatal("08006")), "{}", reply.tags());
        assert_eq!(reply.of(b'E').count(), 1);
    }
    assert_eq!(login(&stand).expect("and it is back").query("select 1").tags(), "TDCZ");
}

#[test]
fn a_database_that_crashes_says_so_and_is_used_again_when_it_is_back() {
    let stand = Stand::start("plain", &[]);
    let (mut victim, mut idle, mut busy) = (login(&stand).unwrap(), login(&stand).unwrap(), login(&stand).unwrap());
    assert_eq!(idle.query("begin").tags(), "CZ");
    busy.ask("select pg_sleep(60)");
    eventually("it runs", || {
        let running = victim.query("select count(*) from pg_stat_activity where wait_event = 'PgSleep'");
        (running.rows() == [[Some("1".to_owned())]]).then_some(())
    });
    assert!(Command::new("kill").args(["-KILL", &victim.key.0.to_string()]).status().unwrap().success());
    // it has said nothing; its fellows are told by the database, and nothing is added
    let last = victim.reply();
    assert_eq!(last.messages.iter().map(fields).collect::<Vec<_>>(), [fatal("08006")]);
    for wire in [&mut idle, &mut busy] {
        let reply = wire.reply();
        let states: Vec<_> = reply.messages.iter().filter_map(|message| message.field(b'C')).collect();
        assert_eq!(states, ["57P02"], "{}", reply.tags());
    }
    // refused in the server's own words while it recovers
    let mut refusals = Vec::new();
    let mut back = eventually("it comes back", || match login(&stand) {
        Ok(wire) => Some(wire),
        Err(refusal) => {
            refusals.push(fields(&refusal));
            None
        }
    });
    assert!(refusals.iter().all(|told| [fatal("57P03"), fatal("08001")].contains(told)), "{refusals:?}");
    assert_eq!(back.query("select 1").tags(), "TDCZ");
}
