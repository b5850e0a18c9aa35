//! The golden table of values, and what it cannot say.

use super::*;
use crate::mask::{CsvMask, JsonMask, PseudonymAs, PseudonymForm};

#[derive(serde::Deserialize)]
struct Golden {
    case: Vec<[String; 4]>,
}

const TYPES: [(&str, u32); 76] = [
    ("bool", 16),
    ("bytea", 17),
    ("char", 18),
    ("name", 19),
    ("int8", 20),
    ("int2", 21),
    ("int2vector", 22),
    ("int4", 23),
    ("text", 25),
    ("oid", 26),
    ("tid", 27),
    ("xid", 28),
    ("oidvector", 30),
    ("json", 114),
    ("xml", 142),
    ("point", 600),
    ("lseg", 601),
    ("path", 602),
    ("box", 603),
    ("polygon", 604),
    ("line", 628),
    ("cidr", 650),
    ("float4", 700),
    ("float8", 701),
    ("unknown", 705),
    ("circle", 718),
    ("macaddr8", 774),
    ("money", 790),
    ("macaddr", 829),
    ("inet", 869),
    ("_int4", 1007),
    ("_text", 1009),
    ("_varchar", 1015),
    ("bpchar", 1042),
    ("varchar", 1043),
    ("date", 1082),
    ("time", 1083),
    ("timestamp", 1114),
    ("_date", 1182),
    ("timestamptz", 1184),
    ("interval", 1186),
    ("timetz", 1266),
    ("bit", 1560),
    ("varbit", 1562),
    ("numeric", 1700),
    ("refcursor", 1790),
    ("regclass", 2205),
    ("record", 2249),
    ("uuid", 2950),
    ("txid_snapshot", 2970),
    ("pg_lsn", 3220),
    ("tsvector", 3614),
    ("tsquery", 3615),
    ("jsonb", 3802),
    ("int4range", 3904),
    ("daterange", 3912),
    ("jsonpath", 4072),
    ("tstzmultirange", 4534),
    ("citext", 20_000),
    ("email", 20_001),
    ("us_ssn", 20_002),
    ("_us_ssn", 20_003),
    ("sex", 20_004),
    ("tsrange", 3908),
    ("numrange", 3906),
    ("cid", 29),
    ("hstore", 20_005),
    ("_float8", 1022),
    ("_uuid", 2951),
    ("_jsonb", 3807),
    ("_numeric", 1231),
    ("_bool", 1000),
    ("_sex", 20_006),
    ("names", 20_007),
    ("_names", 20_008),
    ("regproc", 24),
];

pub(super) fn strategy(text: &str) -> Option<Strategy> {
    let (name, argument) = text.split_once(':').unwrap_or((text, ""));
    Some(match name {
        "placeholder" => return None,
        "redact" => Strategy::Redact,
        "null" => Strategy::Null,
        "fixed" => Strategy::Fixed(argument.to_owned()),
        "keep-last" => Strategy::KeepLast(argument.parse().unwrap()),
        "keep-first" => Strategy::KeepFirst(argument.parse().unwrap()),
        "year" => Strategy::Year,
        "zip3" => Strategy::Zip3,
        "round" => Strategy::Round(argument.parse().unwrap()),
        "month" => Strategy::Month,
        "age" => Strategy::Age(argument.parse().unwrap()),
        "pseudonym" => Strategy::Pseudonym,
        "digits" => Strategy::PseudonymAs(PseudonymAs { scope: None, form: PseudonymForm::Digits }),
        "uuid" => Strategy::PseudonymAs(PseudonymAs { scope: None, form: PseudonymForm::Uuid }),
        "name" => Strategy::PseudonymAs(PseudonymAs { scope: None, form: PseudonymForm::Name }),
        "elements" => Strategy::Elements(Box::new(strategy(argument).unwrap())),
        "csv" => {
            let (columns, with) = argument.split_once('=').unwrap();
            let columns = columns.split(',').map(|column| column.parse().unwrap()).collect();
            Strategy::Csv(CsvMask { delimiter: b',', columns, with: Box::new(strategy(with).unwrap()) })
        }
        "json" => {
            let rules = argument.split(';').map(|rule| rule.split_once('=').unwrap());
            Strategy::Json(JsonMask::new(rules.map(|(path, with)| (path, strategy(with).unwrap()))).unwrap())
        }
        other => panic!("strategy {other}"),
    })
}

fn type_of(text: &str) -> (u32, i32) {
    let (name, modifier) = text.split_once('(').unwrap_or((text, ""));
    let oid = TYPES.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("type {name}")).1;
    (oid, modifier.trim_end_matches(')').parse::<i32>().map_or(-1, |length| length + 4))
}

fn bytes_of(text: &str) -> (Vec<u8>, Format) {
    let Some(hex) = text.strip_prefix("0x") else { return (text.as_bytes().to_vec(), Format::Text) };
    let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|digit| u8::try_from(digit).unwrap()).collect();
    (digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect(), Format::Binary)
}

fn masked(type_name: &str, strategy: Option<Strategy>, value: &[u8], format: Format) -> Option<Vec<u8>> {
    let (oid, modifier) = type_of(type_name);
    let plan = plan(vec![field(1, oid, modifier, format)], &[(1, strategy)]);
    mask(&plan, &[vec![Some(value.to_vec())]]).unwrap().remove(0).remove(0)
}

#[test]
fn values_are_masked_as_the_golden_table_says() {
    let golden: Golden = toml::from_str(include_str!("../../../fixtures/mask/values.toml")).unwrap();
    let mut wrong = Vec::new();
    for [type_name, how, value, want] in &golden.case {
        let (raw, format) = bytes_of(value);
        let found = masked(type_name, strategy(how), &raw, format);
        let want = (want != "NULL").then(|| bytes_of(want).0);
        if found != want {
            wrong.push(format!(
                "{type_name} {how} {value}: {:?}",
                found.map(|found| String::from_utf8_lossy(&found).into_owned())
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), golden.case.len(), wrong.join("\n"));
}

#[test]
fn tokens_are_the_same_for_the_same_value_in_every_type_and_format() {
    let token = |type_name, value: &[u8], format| masked(type_name, Some(Strategy::Pseudonym), value, format).unwrap();
    let text = token("text", b"MRN0012345", Format::Text);
    assert_eq!(text, token("text", b"MRN0012345", Format::Binary));
    assert_eq!(text, token("varchar(40)", b"MRN0012345", Format::Text));
    assert_eq!(text, token("bpchar(22)", b"MRN0012345            ", Format::Text));
    assert_eq!(text.len(), 22);
    assert!(text.starts_with(b"p_") && text[2..].iter().all(u8::is_ascii_lowercase));
    assert_ne!(text, token("text", b"MRN0012346", Format::Text));
    assert_eq!(token("varchar(5)", b"12345", Format::Text).len(), 5);
    assert_eq!(token("bpchar(30)", b"MRN0012345", Format::Text).len(), 30);
}

#[test]
fn stand_ins_have_the_form_and_the_scope_asked_for() {
    let of = |type_name, value: &str, scope: Option<&str>, form| {
        let how = Strategy::PseudonymAs(PseudonymAs { scope: scope.map(str::to_owned), form });
        String::from_utf8(masked(type_name, Some(how), value.as_bytes(), Format::Text).unwrap()).unwrap()
    };
    use PseudonymForm::{Digits, Name, Token, Uuid};
    let shape = |text: &str| -> String {
        text.chars()
            .map(|c| {
                if c.is_ascii_digit() {
                    '0'
                } else if c.is_ascii_uppercase() {
                    'A'
                } else {
                    c
                }
            })
            .collect()
    };
    let token = of("text", "MRN-0012345", None, Digits);
    assert_eq!(shape(&token), "AAA-0000000");
    assert_ne!(token, "MRN-0012345");
    assert_eq!(of("bpchar(14)", "MRN-0012345   ", None, Digits), format!("{token}   "));
    assert_eq!(of("text", &"7".repeat(100), None, Digits).len(), 100);
    assert_eq!(of("text", "12-34", Some("a"), Uuid).len(), 36);
    assert_eq!(of("varchar(20)", "12-34", Some("a"), Uuid).len(), 20);
    let name = of("text", "Smith", None, Name);
    assert!(name.len() == 13 && name.split(' ').all(|word| word.starts_with(|c: char| c.is_ascii_uppercase())), "{name}");
    for form in [Token, Digits, Uuid, Name] {
        let [none, a, b] = [None, Some("a"), Some("b")].map(|scope| of("text", "MRN0012345", scope, form));
        assert!(none != a && a != b && b != none, "{form:?}");
        assert_eq!(a, of("text", "MRN0012345", Some("a"), form));
    }
    let plain = masked("text", Some(Strategy::Pseudonym), b"x", Format::Text).unwrap();
    assert_eq!(of("text", "x", None, Token).into_bytes(), plain);
}

#[test]
fn a_rotated_key_gives_other_tokens_that_say_so() {
    let key = keys().pseudonym;
    let token = |key: &PseudonymKey| {
        let plan = RowPlan::new(
            &RowDescription { columns: vec![field(1, 25, -1, Format::Text)] },
            None,
            &map_of(&[(1, Some(Strategy::Pseudonym))]),
            true,
            &catalog(),
            &Keys { pseudonym: key.clone(), year_now: 2026, names: Default::default() },
        );
        mask(&plan, &[vec![Some(b"MRN0012345".to_vec())]]).unwrap().remove(0).remove(0).unwrap()
    };
    let (old, new) = (token(&key), token(&key.rotated(&[9; 32])));
    assert!(old.starts_with(b"p_") && new.starts_with(b"q_"));
    assert_ne!(old[2..], new[2..]);
}

#[test]
fn tokens_depend_on_the_key() {
    let columns = vec![field(1, 25, -1, Format::Text)];
    let other = Keys { pseudonym: PseudonymKey::new(&[8; 32]), year_now: 2026, names: Default::default() };
    let map = map_of(&[(1, Some(Strategy::Pseudonym))]);
    let other = RowPlan::new(&RowDescription { columns: columns.clone() }, None, &map, true, &catalog(), &other);
    let row = vec![vec![Some(b"MRN0012345".to_vec())]];
    assert_ne!(mask(&other, &row), mask(&plan(columns, &[(1, Some(Strategy::Pseudonym))]), &row));
}

#[test]
fn stand_ins_of_numbers_and_uuids_agree_in_text_and_binary() {
    let token = |type_name, value: &[u8], format| masked(type_name, Some(Strategy::Pseudonym), value, format).unwrap();
    let text = String::from_utf8(token("int4", b"4711", Format::Text)).unwrap();
    let binary = token("int4", &4711_i32.to_be_bytes(), Format::Binary);
    let number: i32 = text.parse().unwrap();
    assert!(number >= 0);
    assert_eq!(binary, number.to_be_bytes());
    let text = String::from_utf8(token("int8", b"4711", Format::Text)).unwrap();
    assert_eq!(token("int8", &4711_i64.to_be_bytes(), Format::Binary), text.parse::<i64>().unwrap().to_be_bytes());
    let text = String::from_utf8(token("uuid", b"00112233-4455-6677-8899-aabbccddeeff", Format::Text)).unwrap();
    let raw = [0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
    let hex: String = token("uuid", &raw, Format::Binary).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(text.replace('-', ""), hex);
    assert_eq!((text.len(), text.as_bytes()[14]), (36, b'4'));
}

#[test]
fn each_day_of_eight_centuries_keeps_its_year() {
    let plan = plan(vec![field(1, 1082, -1, Format::Binary)], &[(1, Some(Strategy::Year))]);
    let (mut day, mut first) = (0_i32, 0_i32);
    for year in 2000..2801 {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        for _ in 0..if leap { 366 } else { 365 } {
            let masked = mask(&plan, &[vec![Some(day.to_be_bytes().to_vec())]]).unwrap();
            assert_eq!(masked[0][0], Some(first.to_be_bytes().to_vec()), "day {day} of {year}");
            day += 1;
        }
        first = day;
    }
}

#[test]
fn nothing_shows_a_key() {
    assert_eq!(format!("{:?}", PseudonymKey::new(b"secret")), "PseudonymKey(..)");
}
