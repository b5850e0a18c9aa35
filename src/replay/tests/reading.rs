//! What was recorded is read back as it was shown.

use super::*;

#[test]
fn sessions_are_found_and_read_back() {
    let folder = TempDir::new().unwrap();
    let settings = whole(&folder);
    let archive = Archive::open(&settings.path).unwrap();
    let list =
        |filter: Filter| -> Vec<u8> { archive.sessions(&filter).unwrap().iter().map(|(session, _)| session.0[0]).collect() };
    let all = Filter { limit: 50, ..Filter::default() };
    assert_eq!(list(all.clone()), [6, 5, 4, 3, 2, 1, 9]);
    assert_eq!(list(Filter { limit: 2, ..all.clone() }), [6, 5]);
    assert_eq!(list(Filter { identity: Some("agent1".into()), ..all.clone() }), [5, 3, 1]);
    assert_eq!(list(Filter { identity: Some("agent".into()), ..all.clone() }), [0u8; 0]);
    assert_eq!(list(Filter { database: Some("clinic".into()), limit: 3, ..all.clone() }), [6, 5, 4]);
    assert_eq!(list(Filter { since_us: Some(NOW + 2_000_000), until_us: Some(NOW + 5_000_000), ..all }), [4, 3, 2]);
    assert_eq!(archive.find("xyz").unwrap(), Found::None);
    assert_eq!(archive.find("07").unwrap(), Found::None);
    assert_eq!(archive.find("0").unwrap(), Found::Several);
    let Found::One(session, row) = archive.find("03030").unwrap() else { panic!("session 3") };
    assert_eq!((session, row.statements, row.closed), (session_id(3), 4, Some((NOW + 3_000_099, "terminate".to_owned()))));
    let key = archive.key(session, &master_key(&settings).unwrap()).unwrap();
    let entries: Vec<_> = archive.entries(session, key.as_ref()).unwrap().map(Result::unwrap).collect();
    assert_eq!(entries.len(), 10);
    let Event::Statement(event) = &entries[1].event else { panic!("a statement") };
    assert_eq!(event.text, "select ssn, n, d from clinical.patients");
    let Event::Reply(event) = &entries[2].event else { panic!("a reply") };
    let seen = Reader::default().read(&event.columns, &event.frames);
    assert_eq!(seen[1], Seen::Row(vec![Some("***-**-1234".into()), Some("7".into()), None]));
    assert_eq!(seen[2], Seen::Done("SELECT 1".into()));
    assert!(archive.entries(session, None).unwrap().any(|entry| entry.unwrap().content == Content::Sealed));
}

#[test]
fn answers_are_read_however_they_are_cut() {
    let mut field = b"n\0".to_vec();
    field.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 23, 0, 4, 0xff, 0xff, 0xff, 0xff, 0, 1]);
    let description = message(b'T', &[&[0, 1], field.as_slice()].concat());
    let bytes = [
        description,
        data_row(&[Some(&41i32.to_be_bytes())]),
        message(b'N', b"SNOTICE\0C00000\0Mlook\0\0"),
        data_row(&[None]),
        message(b'C', b"SELECT 2\0"),
        message(b'E', b"SERROR\0C22012\0Mdivision by zero\0\0"),
        message(b'd', b"1\t2\n"),
        message(b's', b""),
        message(b'I', b""),
        message(b'D', &[0, 1, 0]),
        message(b'Z', b"I"),
    ]
    .concat();
    let whole = Reader::default().read(&[], &[Bytes::from(bytes.clone())]);
    assert_eq!(whole.len(), 10);
    assert_eq!(
        whole[1..4],
        [Seen::Row(vec![Some("41".into())]), Seen::Notice("NOTICE 00000: look".into()), Seen::Row(vec![None])]
    );
    assert_eq!(whole[5], Seen::Error("ERROR 22012: division by zero".into()));
    assert_eq!(whole[6], Seen::Copy("1\t2\n".into()));
    assert_eq!(whole[9], Seen::Malformed(b'D'));
    for cut in 0..bytes.len() {
        let mut reader = Reader::default();
        let mut seen = reader.read(&[], &[Bytes::copy_from_slice(&bytes[..cut])]);
        seen.extend(reader.read(&[], &[Bytes::copy_from_slice(&bytes[cut..])]));
        assert_eq!(seen, whole);
    }
}

#[test]
fn binary_values_are_read_as_their_types() {
    let cases: [(u32, &[u8], &str); 22] = [
        (16, &[1], "t"),
        (16, &[2], "\\x02"),
        (20, &(-5i64).to_be_bytes(), "-5"),
        (21, &7i16.to_be_bytes(), "7"),
        (23, &[0, 0, 7], "\\x000007"),
        (25, b"text", "text"),
        (701, &1.5f64.to_be_bytes(), "1.5"),
        (1082, &0i32.to_be_bytes(), "2000-01-01"),
        (1082, &(-1i32).to_be_bytes(), "1999-12-31"),
        (1082, &i32::MAX.to_be_bytes(), "infinity"),
        (1082, &(i32::MAX - 1).to_be_bytes(), "\\x7ffffffe"),
        (1083, &3_600_000_001i64.to_be_bytes(), "01:00:00.000001"),
        (1114, &(-1_000_000i64).to_be_bytes(), "1999-12-31 23:59:59"),
        (1184, &0i64.to_be_bytes(), "2000-01-01 00:00:00+00"),
        (2950, &[0xab; 16], "abababab-abab-abab-abab-abababababab"),
        (3802, b"\x01{}", "{}"),
        (1700, &[0, 2, 0, 0, 0, 0, 0, 2, 0, 12, 0x13, 0x88], "12.50"),
        (1700, &[0, 1, 0xff, 0xff, 0x40, 0, 0, 4, 0, 5], "-0.0005"),
        (1700, &[0, 1, 0, 1, 0, 0, 0, 0, 0, 3], "30000"),
        (1700, &[0, 0, 0, 0, 0xc0, 0, 0, 0], "NaN"),
        (1700, &[0, 9, 0, 0, 0, 0, 0, 0], "\\x0009000000000000"),
        (9999, b"\xff", "\\xff"),
    ];
    for (type_oid, value, expected) in cases {
        assert_eq!(text(type_oid, true, value), expected, "{type_oid}");
    }
    assert_eq!(text(25, false, b"\xff"), "\\xff");
    assert_eq!(shown("a\u{1b}[2Jb\r\n\u{202e}c"), "a\\u{1b}[2Jb\\u{d}\n\\u{202e}c");
}

proptest::proptest! {
    #[test]
    fn no_answer_makes_the_reader_panic(
        tag in 0usize..12,
        body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60),
        type_oid in 0usize..12,
        tail in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..20),
    ) {
        let oids = [16, 20, 700, 1082, 1083, 1114, 1184, 1700, 2950, 3802, 18, 9999];
        let frame = [message(b"TDdCENAsIZ1G"[tag], &body), tail].concat();
        let columns = [column("a", oids[type_oid], true, "clear"), column("b", 1700, true, "clear")];
        Reader::default().read(&columns, &[Bytes::from(frame)]);
        text(oids[type_oid], true, &body);
    }
}
