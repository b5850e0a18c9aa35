//! What stands in a log, in the hands of somebody who may have changed it: entries, sealed bodies, signed notes, proofs.

use std::collections::HashMap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bytes::Bytes;
use pgveil::ledger::{
    Checkpoint, Content, DataKey, Event, ExecutionEvent, Hash, Hashes, HoldAnswered, LedgerError, MasterKey, PassedEvent, Place,
    ReplyEvent, SessionId, Signer, StatementEvent, Stored, TILE_HASHES, TileAt, Tiles, Tree, Verifier, check_consistency,
    check_inclusion, encode, leaf, prove_consistency, prove_inclusion, tile_bytes, tile_hashes, tiled,
};
use pgveil::secret::Secret;

use super::input::Input;

const KEY: [u8; 32] = [0x2f; 32];
const SESSION: SessionId = SessionId([0xa5; 16]);
const ORIGIN: &str = "pgveil/0123456789abcdef";

/// One of the things that are read.
pub fn ledger(data: &[u8]) {
    let mut input = Input::new(data);
    match input.below(6) {
        0 => entry(input.rest()),
        1 => body(&mut input),
        2 => note(input.rest()),
        3 => changed_note(&mut input),
        4 => proofs(&mut input),
        _ => keys(input.rest()),
    }
}

fn key() -> DataKey {
    DataKey::new(&Secret::new(KEY.to_vec())).expect("32 bytes")
}

/// Bytes that are an entry mean one thing: written again and read again they are the same.
fn entry(bytes: &[u8]) {
    let Ok(stored) = Stored::read(bytes) else { return };
    let (place, event, sealed) = (stored.place, stored.event.clone(), stored.is_sealed());
    let opened = stored.clone().open(Some(&key()));
    assert!(!sealed || opened.is_err(), "a seal that nobody made opens");
    let shut = stored.open(None).expect("without a key nothing is opened");
    assert_eq!(shut.content == Content::Sealed, sealed);
    if let Ok(again) = encode(&place, &event, None) {
        let read = Stored::read(&again).expect("what was written can be read");
        assert_eq!((read.place, format!("{:?}", read.event)), (place, format!("{event:?}")));
        assert!(again.len() <= bytes.len(), "an entry has a shorter form than the one that was read: {bytes:?}");
    }
}

/// A body of any bytes, sealed with the right key.
fn body(input: &mut Input<'_>) {
    let place = Place { index: u64::from(input.byte()), time_us: 1_760_000_000_000_000, session: Some((SESSION, 1)) };
    let event = match input.below(5) {
        0 => Event::Statement(StatementEvent {
            number: 1,
            prepared: false,
            name: Bytes::new(),
            text: Bytes::new(),
            verbs: Vec::new(),
            relations: Vec::new(),
            decision: "forward".into(),
            rules: Vec::new(),
            reasons: Vec::new(),
            touches_masked: false,
        }),
        1 => Event::Execution(ExecutionEvent {
            number: 2,
            statement: 1,
            portal: Bytes::new(),
            rows_max: 0,
            parameters: Vec::new(),
            decision: "forward".into(),
        }),
        2 => Event::Reply(ReplyEvent {
            number: 2,
            last: true,
            columns: Vec::new(),
            frames: vec![Bytes::from_static(b"x")],
            rows: 1,
            tag: "SELECT 1".into(),
            sqlstate: String::new(),
            duration_us: 9,
            columns_of: 0,
        }),
        3 => Event::Passed(PassedEvent { number: 1, at: 0, last: true, bytes: Bytes::from_static(b"Q") }),
        _ => Event::HoldAnswered(HoldAnswered {
            hold: "h".into(),
            answer: pgveil::ledger::Answer::Denied,
            by: "olivia".into(),
            reason: "no".into(),
        }),
    };
    let whole = encode(&place, &event, Some(&key())).expect("an entry");
    let header = header(&whole);
    let bytes = resealed(header, place.index, input.rest());
    let stored = Stored::read(&bytes).expect("the header is as it was");
    let Ok(opened) = stored.open(Some(&key())) else { return };
    assert_eq!(opened.content, Content::Open);
    let again = encode(&place, &opened.event, Some(&key())).expect("what was read can be written");
    let read = Stored::read(&again).expect("an entry").open(Some(&key())).expect("its own key");
    assert_eq!(format!("{:?}", read.event), format!("{:?}", opened.event));
}

/// The header's bytes in an entry.
fn header(entry: &[u8]) -> &[u8] {
    let mut fields = minicbor::Decoder::new(entry);
    fields.array().expect("two parts");
    fields.bytes().expect("a header")
}

/// An entry with this header and these bytes under its seal.
fn resealed(header: &[u8], index: u64, packed: &[u8]) -> Vec<u8> {
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY).expect("32 bytes"));
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&index.to_be_bytes());
    let mut sealed = packed.to_vec();
    cipher.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(header), &mut sealed).expect("a short body");
    let mut out = minicbor::Encoder::new(Vec::new());
    out.array(2).and_then(|out| out.bytes(header)).and_then(|out| out.bytes(&sealed)).expect("memory takes it");
    out.into_writer()
}

fn signer() -> Signer {
    Signer::new(ORIGIN, &Secret::new(vec![7; 32])).expect("a seed")
}

/// A note that nobody has signed, and a key of any text.
fn note(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    assert!(signer().verifier().open(text).is_err(), "a note that nobody has signed holds");
    if let Ok(verifier) = Verifier::parse(text) {
        assert_eq!(Verifier::parse(&verifier.to_string()), Ok(verifier.clone()));
        assert!(verifier.open(text).is_err());
    }
}

/// A signed note of which bytes are changed says what it said or nothing.
fn changed_note(input: &mut Input<'_>) {
    let root = Hash([input.byte(); 32]);
    let (size, time_us) = (input.number().into(), input.number().into());
    let said = Checkpoint { origin: ORIGIN.into(), size, root, time_us };
    let mut bytes = signer().note(size, root, time_us).into_bytes();
    assert_eq!(signer().verifier().open(std::str::from_utf8(&bytes).expect("text")), Ok(said.clone()));
    while !input.is_empty() {
        let at = usize::from(input.byte()) % bytes.len();
        match input.below(3) {
            0 => bytes[at] = input.byte(),
            1 => bytes.insert(at, input.byte()),
            _ => {
                bytes.remove(at);
            }
        }
        if bytes.is_empty() {
            return;
        }
    }
    if let Ok(text) = std::str::from_utf8(&bytes)
        && let Ok(opened) = signer().verifier().open(text)
    {
        assert_eq!(opened, said, "a changed note holds");
    }
}

/// The tiles of a tree.
#[derive(Default)]
struct Kept(HashMap<TileAt, Vec<Hash>>);

impl Kept {
    fn row(&self, at: TileAt) -> Option<Vec<Hash>> {
        // As they are stored.
        self.0.get(&at).map(|row| tile_hashes(&tile_bytes(row)).expect("what was written can be read"))
    }
}

impl Hashes for Kept {
    fn hash(&self, level: u8, number: u64) -> Result<Hash, LedgerError> {
        tiled(level, number, |at| self.row(at))
    }
}

/// Proofs of a true tree hold, and of another do not; proofs of any hashes are taken calmly.
fn proofs(input: &mut Input<'_>) {
    let count = 1 + input.below(256) * 3;
    let (mut tree, mut tiles, mut kept) = (Tree::default(), Tiles::default(), Kept::default());
    let (mut roots, mut leaves) = (Vec::new(), Vec::new());
    for number in 0..count {
        roots.push(tree.root());
        let hash = leaf(&[input.byte(), u8::try_from(number % 256).expect("a byte")]);
        leaves.push(hash);
        tree.append(hash);
        tiles.append(hash, |at, row| {
            assert_eq!(row.len(), TILE_HASHES);
            kept.0.insert(at, row);
        });
    }
    tiles.begun().for_each(|(at, row)| drop(kept.0.insert(at, row.to_vec())));
    let size = tree.size();
    let number = usize::from(input.byte()) * 3 % count;
    let index = u64::try_from(number).expect("few leaves");
    let mut proof = prove_inclusion(index, size, &kept).expect("a proof");
    assert_eq!(check_inclusion(&proof, index, leaves[number], size, tree.root()), Ok(()));
    let other = leaf(b"another");
    assert!(check_inclusion(&proof, index, other, size, tree.root()).is_err());
    let mut longer = Vec::new();
    if index > 0 {
        longer = prove_consistency(index, size, &kept).expect("a proof");
        assert_eq!(check_consistency(&longer, index, roots[number], size, tree.root()), Ok(()));
        assert!(check_consistency(&longer, index, other, size, tree.root()).is_err());
    }
    let grown = Tree::resume(size, &kept).expect("every hash is there");
    assert_eq!(grown.root(), tree.root());
    let resumed = Tiles::resume(size, |at| kept.row(at)).expect("every tile is there");
    assert!(resumed.begun().eq(tiles.begun()));
    // Hashes that are no proof, and sizes that are none.
    while !input.is_empty() && proof.len() < 70 {
        proof.push(Hash([input.byte(); 32]));
        longer.insert(0, Hash([input.byte(); 32]));
        let (index, size) = (u64::from(input.number()) << input.below(33), u64::from(input.number()) << input.below(33));
        assert!(check_inclusion(&proof, index, leaves[number], size, other).is_err());
        let _ = check_consistency(&longer, index, other, size, tree.root());
    }
}

/// A wrapped key that nobody has wrapped.
fn keys(bytes: &[u8]) {
    let master = MasterKey::new(&Secret::new(KEY.to_vec())).expect("32 bytes");
    assert!(master.unwrap(SESSION, bytes).is_err(), "a key that nobody wrapped opens");
    assert!(tile_hashes(bytes).is_none_or(|row| tile_bytes(&row) == bytes));
}
