use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::secret::Secret;

const SESSION: SessionId = SessionId([0xa5; 16]);
const TIME_US: u64 = 1_760_000_000_000_000;
const ORIGIN: &str = "pgveil/0123456789abcdef";

fn key() -> DataKey {
    DataKey::new(&Secret::new(vec![0x11; 32])).unwrap()
}

fn place(index: u64) -> Place {
    Place { index, time_us: TIME_US + index, session: Some((SESSION, index + 1)) }
}

/// One event of each kind.
fn events() -> Vec<(&'static str, Event)> {
    let opened = SessionOpened {
        identity: "mcp-agent".into(),
        groups: vec!["agents".into(), "readers".into()],
        database: "clinic".into(),
        client: "127.0.0.1:50123".into(),
        application: "psql".into(),
        upstream_user: "app".into(),
        policy: [0x22; 32],
    };
    let statement = StatementEvent {
        number: 1,
        prepared: true,
        name: Bytes::from_static(b"s1"),
        text: Bytes::from_static(b"select ssn from clinical.patients where id = $1"),
        verbs: vec!["select".into()],
        relations: vec!["clinical.patients".into()],
        decision: "hold".into(),
        rules: vec!["bulk-read-of-phi".into()],
        reasons: vec!["touches ssn".into()],
        touches_masked: true,
    };
    let execution = ExecutionEvent {
        number: 2,
        statement: 1,
        portal: Bytes::from_static(b"p"),
        rows_max: 100,
        parameters: vec![
            Parameter { binary: true, value: Some(Bytes::from_static(&[0, 0, 0, 7])) },
            Parameter { binary: false, value: None },
        ],
        decision: "forward".into(),
    };
    let reply = ReplyEvent {
        number: 2,
        last: true,
        columns: vec![ColumnSeen {
            name: "ssn".into(),
            type_oid: 25,
            binary: false,
            verdict: "masked".into(),
            reason: "clinical.patients.ssn".into(),
        }],
        frames: vec![Bytes::from_static(b"D\0\0\0\x15\0\x01\0\0\0\x0b***-**-1234"), Bytes::from_static(b"C\0\0\0\x0dSELECT 1\0")],
        rows: 1,
        tag: "SELECT 1".into(),
        sqlstate: String::new(),
        duration_us: 1234,
        columns_of: 0,
    };
    let hold =
        HoldOpened { hold: "h-1".into(), number: 2, approvers: vec!["compliance".into()], approvals: 1, digest: [0x33; 32] };
    let answered = HoldAnswered { hold: "h-1".into(), answer: Answer::Approved, by: "carol".into(), reason: "ward round".into() };
    vec![
        ("session-opened", Event::SessionOpened(opened)),
        ("statement", Event::Statement(statement)),
        ("hold-opened", Event::HoldOpened(hold)),
        ("hold-answered", Event::HoldAnswered(answered)),
        ("execution", Event::Execution(execution)),
        ("reply", Event::Reply(reply)),
        ("session-closed", Event::SessionClosed(SessionClosed { reason: "terminate".into() })),
    ]
    .into_iter()
    .chain(access())
    .collect()
}

/// Those of no session.
fn access() -> [(&'static str, Event); 4] {
    [
        (
            "login-refused",
            Event::LoginRefused(LoginRefused {
                identity: "mallory".into(),
                client: "10.0.0.9:4711".into(),
                category: "wrong-password".into(),
            }),
        ),
        ("configuration-loaded", Event::ConfigurationLoaded(vec![("pgveil.toml".into(), [0x44; 32])])),
        (
            "logged-in",
            Event::LoggedIn(LoggedIn {
                way: "token".into(),
                issuer: "okta".into(),
                subject: "00u1".into(),
                actor: "mcp-server".into(),
                expires_s: 1_760_003_600,
                user: "carla".into(),
            }),
        ),
        (
            "revoked",
            Event::Revoked(Revoked { what: "identity".into(), name: "carla@okta".into(), lifted: false, by: "olivia".into() }),
        ),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|place| u8::from_str_radix(&text[2 * place..2 * place + 2], 16).unwrap()).collect()
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/ledger").join(name)
}

/// Golden files: what is written must have these bytes. `PGVEIL_GOLDEN=write` writes them, with a new format version.
fn golden(name: &str, text: &str) {
    if std::env::var("PGVEIL_GOLDEN").as_deref() == Ok("write") {
        std::fs::write(fixture(name), text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(fixture(name)).unwrap(), "{name}");
}

#[test]
fn entries_leaves_and_root_have_their_golden_bytes() {
    let (mut entries, mut hashes, mut tree) = (String::new(), String::new(), Tree::default());
    for (index, (name, event)) in (0..).zip(events()) {
        let mut place = place(index);
        if matches!(event, Event::LoginRefused(_) | Event::Revoked(_) | Event::ConfigurationLoaded(_)) {
            place.session = None;
        }
        let bytes = encode(&place, &event, Some(&key())).unwrap();
        writeln!(entries, "{name} {}", hex(&bytes)).unwrap();
        let hash = leaf(&bytes);
        tree.append(hash);
        writeln!(hashes, "{name} leaf {hash} root {}", tree.root()).unwrap();
        let read = Stored::read(&bytes).unwrap();
        assert_eq!(read.place, place);
        let opened = read.open(Some(&key())).unwrap();
        assert_eq!(format!("{:?}", opened.event), format!("{event:?}"));
        assert_eq!(opened.content, if seals(&event) { Content::Open } else { Content::None });
    }
    golden("entries.txt", &entries);
    golden("hashes.txt", &hashes);
    golden("checkpoint.txt", &signer().note(tree.size(), tree.root(), TIME_US));
    golden("verifier.txt", &format!("{}\n", signer().verifier()));
}

#[test]
fn a_part_of_a_message_passed_on_unread_has_its_golden_bytes() {
    let event = Event::Passed(PassedEvent { number: 7, at: 4096, last: true, bytes: Bytes::from_static(b"xxx')\0") });
    let bytes = encode(&place(3), &event, Some(&key())).unwrap();
    golden("passed.txt", &(hex(&bytes) + "\n"));
    let opened = Stored::read(&bytes).unwrap().open(Some(&key())).unwrap();
    assert_eq!(format!("{:?}", opened.event), format!("{event:?}"));
    assert!(!hex(&Stored::read(&bytes).map(|stored| format!("{:?}", stored.event)).unwrap().into_bytes()).contains(&hex(b"xxx")));
}

#[test]
fn a_compressed_entry_of_an_earlier_day_can_be_read() {
    // Only read back: another release of the compressor may choose other bytes for the same body.
    let mut event = events().remove(1).1;
    if let Event::Statement(statement) = &mut event {
        statement.text = Bytes::from("select 1 union all ".repeat(400));
    }
    if std::env::var("PGVEIL_GOLDEN").as_deref() == Ok("write") {
        std::fs::write(fixture("compressed.txt"), hex(&encode(&place(0), &event, Some(&key())).unwrap()) + "\n").unwrap();
    }
    let bytes = unhex(std::fs::read_to_string(fixture("compressed.txt")).unwrap().trim());
    assert!(bytes.len() < 400);
    let entry = Stored::read(&bytes).unwrap().open(Some(&key())).unwrap();
    assert_eq!(format!("{:?}", entry.event), format!("{event:?}"));
}

#[test]
fn sealed_parts_show_nothing_and_open_only_in_their_place() {
    for (_, event) in events() {
        let bytes = encode(&place(3), &event, Some(&key())).unwrap();
        for secret in ["ssn", "ward round", "1234", "s1"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found || !seals(&event), "{secret} in {event:?}");
        }
        if seals(&event) {
            let other = DataKey::new(&Secret::new(vec![0x12; 32])).unwrap();
            assert_eq!(Stored::read(&bytes).unwrap().open(Some(&other)).unwrap_err(), LedgerError::Sealed);
            assert_eq!(Stored::read(&bytes).unwrap().open(None).unwrap().content, Content::Sealed);
            assert!(matches!(encode(&place(3), &event, None), Err(LedgerError::Key(_))));
        }
    }
}

#[test]
fn no_changed_byte_of_an_entry_reads_as_the_same_entry() {
    for (_, event) in events() {
        let bytes = encode(&place(5), &event, Some(&key())).unwrap();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert_ne!(leaf(&changed), leaf(&bytes));
            if let Ok(Ok(entry)) = Stored::read(&changed).map(|entry| entry.open(Some(&key()))) {
                assert!(!seals(&event), "byte {index} of {event:?} is covered by no seal: {entry:?}");
            }
        }
    }
}

#[test]
fn keys_are_wrapped_for_their_session() {
    let master = MasterKey::new(&Secret::new(vec![9; 32])).unwrap();
    let secret = Secret::new(vec![0x11; 32]);
    let wrapped = master.wrap(SESSION, &secret, [1; 12]).unwrap();
    assert_eq!(wrapped.len(), WRAPPED_KEY_BYTES);
    assert_eq!(master.unwrap(SESSION, &wrapped).unwrap().commitment(), key().commitment());
    assert_eq!(master.unwrap(SessionId([1; 16]), &wrapped).unwrap_err(), LedgerError::Sealed);
    let other = MasterKey::new(&Secret::new(vec![8; 32])).unwrap();
    assert_eq!(other.unwrap(SESSION, &wrapped).unwrap_err(), LedgerError::Sealed);
    assert_ne!(other.mark(), master.mark());
    assert_eq!(format!("{master:?} {:?} {secret:?}", key()), "MasterKey([secret]) DataKey([secret]) [secret]");
}

#[derive(Default)]
struct Memory {
    full: BTreeMap<TileAt, Vec<Hash>>,
    tiles: Tiles,
}

impl Memory {
    fn append(&mut self, tree: &mut Tree, hash: Hash) {
        tree.append(hash);
        self.tiles.append(hash, |at, row| assert!(self.full.insert(at, row).is_none()));
    }

    fn row(&self, at: TileAt) -> Option<Vec<Hash>> {
        let begun = || self.tiles.begun().find(|(begun, _)| *begun == at).map(|(_, row)| row.to_vec());
        self.full.get(&at).cloned().or_else(begun)
    }
}

impl Hashes for Memory {
    fn hash(&self, level: u8, number: u64) -> Result<Hash, LedgerError> {
        tiled(level, number, |at| self.row(at))
    }
}

/// RFC 6962 section 2.1 as it is written.
fn plain_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Tree::default().root(),
        [one] => *one,
        many => {
            let half = many.len().next_power_of_two() / 2;
            node(&plain_root(&many[..half]), &plain_root(&many[half..]))
        }
    }
}

#[test]
fn the_tree_is_that_of_the_rfc() {
    let (mut tree, mut memory, mut leaves) = (Tree::default(), Memory::default(), Vec::new());
    assert_eq!(tree.root().to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    // The test vectors of the Certificate Transparency reference implementation.
    let vectors: [&[u8]; 3] = [b"", &[0x00], &[0x10]];
    for (vector, root) in vectors.iter().zip([
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    ]) {
        let hash = leaf(vector);
        leaves.push(hash);
        memory.append(&mut tree, hash);
        assert_eq!(tree.root().to_string(), root);
    }
    for number in 3..70u8 {
        let hash = leaf(&[number]);
        leaves.push(hash);
        memory.append(&mut tree, hash);
        assert_eq!(tree.root(), plain_root(&leaves));
        assert_eq!(Tree::resume(tree.size(), &memory).unwrap().root(), tree.root());
    }
}

#[test]
fn a_tree_is_taken_up_from_its_tiles() {
    let (mut tree, mut memory, mut leaves) = (Tree::default(), Memory::default(), Vec::new());
    let sizes = [1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 65_536 + 256, 66_049, 70_000];
    for number in 0..70_000u32 {
        let hash = leaf(&number.to_be_bytes());
        leaves.push(hash);
        memory.append(&mut tree, hash);
        if !sizes.contains(&leaves.len()) {
            continue;
        }
        assert_eq!(tree.root(), plain_root(&leaves));
        assert_eq!(Tree::resume(tree.size(), &memory).unwrap().root(), tree.root());
        let resumed = Tiles::resume(tree.size(), |at| memory.row(at)).unwrap();
        assert!(resumed.begun().eq(memory.tiles.begun()), "{}", tree.size());
        assert!(resumed.begun().all(|(_, row)| row.len() < TILE_HASHES));
        assert!(memory.hash(0, tree.size()).is_err());
        for (_, row) in resumed.begun() {
            assert_eq!(tile_hashes(&tile_bytes(row)).unwrap(), row);
        }
    }
    assert_eq!(memory.full.len(), 273 + 1, "tiles of 256 leaves, and one over the first 256 of them");
    assert!(Tiles::resume(70_001, |at| memory.row(at)).is_err(), "one leaf is missing");
    assert_eq!(tile_hashes(&[0; 33]), None);
}

#[test]
fn proofs_hold_and_wrong_ones_do_not() {
    let (mut tree, mut memory, mut roots) = (Tree::default(), Memory::default(), vec![Tree::default().root()]);
    for number in 0..40u8 {
        memory.append(&mut tree, leaf(&[number]));
        roots.push(tree.root());
    }
    for size in 1..=40u64 {
        let root = roots[usize::try_from(size).unwrap()];
        for index in 0..size {
            let proof = prove_inclusion(index, size, &memory).unwrap();
            let hash = leaf(&[u8::try_from(index).unwrap()]);
            check_inclusion(&proof, index, hash, size, root).unwrap();
            assert!(check_inclusion(&proof, index, leaf(b"other"), size, root).is_err());
            assert!(check_inclusion(&proof, (index + 1) % size, hash, size, root).is_err() || size == 1);
            assert!(check_inclusion(&[proof.as_slice(), &[hash]].concat(), index, hash, size, root).is_err());
        }
        for earlier in 1..=size {
            let old = roots[usize::try_from(earlier).unwrap()];
            let proof = prove_consistency(earlier, size, &memory).unwrap();
            check_consistency(&proof, earlier, old, size, root).unwrap();
            assert!(check_consistency(&proof, earlier, leaf(b"other"), size, root).is_err());
            assert!(check_consistency(&proof, earlier, old, size, leaf(b"other")).is_err());
            assert!(proof.len() <= 64);
        }
    }
    assert!(prove_inclusion(5, 5, &memory).is_err());
    assert!(prove_consistency(0, 5, &memory).is_err());
    assert!(prove_consistency(6, 5, &memory).is_err());
}

fn signer() -> Signer {
    Signer::new(ORIGIN, &Secret::new(vec![0x55; 32])).unwrap()
}

#[test]
fn checkpoints_are_signed_notes() {
    let root = leaf(b"root");
    let note = signer().note(7, root, TIME_US);
    let verifier = Verifier::parse(&signer().verifier().to_string()).unwrap();
    let checkpoint = verifier.open(&note).unwrap();
    assert_eq!(checkpoint, Checkpoint { origin: ORIGIN.into(), size: 7, root, time_us: TIME_US });
    let witnessed = format!("{note}\u{2014} witness AAAAAAECAwQ=\n");
    verifier.open(&witnessed).unwrap();
    let other = Signer::new(ORIGIN, &Secret::new(vec![0x56; 32])).unwrap();
    assert!(other.verifier().open(&note).is_err());
    let bad = [
        "",
        "\n\n",
        "x\n\n\u{2014} y z\n",
        &note.replace("\n7\n", "\n8\n"),
        &note.replace("time_us", "time"),
        &note[..note.len() - 1],
    ];
    for note in bad {
        assert!(verifier.open(note).is_err(), "{note}");
    }
    for key in ["", "a+b+c", "pgveil+00000000+AQ==", &signer().verifier().to_string().replace("0123", "0124")] {
        assert!(Verifier::parse(key).is_err(), "{key}");
    }
}

proptest! {
    #[test]
    fn what_is_read_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Stored::read(&bytes).map(|entry| entry.open(Some(&key())));
    }

    #[test]
    fn a_changed_entry_never_panics(kind in 0usize..9, place_in in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let event = events().remove(kind).1;
        let mut bytes = encode(&place(1), &event, Some(&key())).unwrap();
        let at = place_in.index(bytes.len());
        bytes[at] = byte;
        let _ = Stored::read(&bytes).map(|entry| entry.open(Some(&key())));
    }

    #[test]
    fn any_note_is_read_or_refused(text in "\\PC{0,80}(\n\\PC{0,40}){0,6}") {
        prop_assert!(signer().verifier().open(&text).is_err());
        let _ = Verifier::parse(&text);
    }

    #[test]
    fn any_body_comes_back(text in proptest::collection::vec(any::<u8>(), 0..4000), parts in 0usize..4) {
        let text = Bytes::from(text);
        let event = Event::Reply(ReplyEvent {
            number: 1, last: false, columns: Vec::new(), frames: vec![text; parts + 1], rows: 0,
            tag: String::new(), sqlstate: String::new(), duration_us: 0, columns_of: 0,
        });
        let bytes = encode(&place(1), &event, Some(&key())).unwrap();
        let entry = Stored::read(&bytes).unwrap().open(Some(&key())).unwrap();
        prop_assert_eq!(format!("{:?}", entry.event), format!("{:?}", event));
    }
}
