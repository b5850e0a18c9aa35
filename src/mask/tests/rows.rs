//! Rows stay rows, whatever is in them, and masking them takes no memory of its own.

use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generate;

use super::*;
use crate::mask::{CannotStream, Verdict};
use crate::wire::{Part, Place};

const OIDS: [u32; 23] =
    [1007, 1186, 114, 142, 3614, 16, 18, 19, 20, 21, 23, 25, 700, 701, 1009, 1042, 1043, 1082, 1114, 1184, 1700, 2950, 3802];

fn strategies() -> impl Generate<Value = Option<Strategy>> {
    prop_oneof![
        Just(None),
        Just(Some(Strategy::Redact)),
        Just(Some(Strategy::Null)),
        Just(Some(Strategy::Year)),
        Just(Some(Strategy::Zip3)),
        Just(Some(Strategy::Pseudonym)),
        Just(Some(Strategy::Month)),
        Just(values::strategy("json:$..a=redact;$[*]=keep-last:2")),
        Just(values::strategy("csv:2=redact")),
        Just(values::strategy("elements:round:10")),
        Just(values::strategy("digits")),
        Just(values::strategy("age:89")),
        "[a-z ]{0,9}".prop_map(|text| Some(Strategy::Fixed(text))),
        (0..9_usize).prop_map(|keep| Some(Strategy::KeepLast(keep))),
        (0..9_usize).prop_map(|keep| Some(Strategy::KeepFirst(keep))),
        (0.01..100.0).prop_map(|step| Some(Strategy::Round(step))),
    ]
}

fn values() -> impl Generate<Value = Option<Vec<u8>>> {
    prop_oneof![
        Just(None),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Some),
        "[A-Z][a-z]{5,9} [A-Z][a-z]{5,9}".prop_map(|text| Some(text.into_bytes())),
        "[0-9]{3}-[0-9]{2}-[0-9]{4}|[0-9]{5}|[0-9]{4}-0[1-9]-1[0-9]|\\{[a-z\"\\\\]{1,9},[a-z]{1,9}\\}"
            .prop_map(|text| Some(text.into_bytes())),
        any::<i32>().prop_map(|number| Some(number.to_be_bytes().to_vec())),
        any::<i64>().prop_map(|number| Some(number.to_be_bytes().to_vec())),
    ]
}

type Shape = (usize, Format, bool, Option<Strategy>);
type Rows = Vec<Vec<Option<Vec<u8>>>>;

fn shapes() -> impl Generate<Value = (Vec<Shape>, Rows)> {
    let format = prop_oneof![Just(Format::Text), Just(Format::Binary)];
    proptest::collection::vec((0..OIDS.len(), format, any::<bool>(), strategies()), 0..12).prop_flat_map(|columns| {
        let row = proptest::collection::vec(values(), columns.len());
        (Just(columns), proptest::collection::vec(row, 0..6))
    })
}

fn build(columns: &[Shape], modifier: i32) -> RowPlan {
    let fields =
        columns.iter().zip(1..).map(|((oid, format, ..), number)| field(number, OIDS[*oid], modifier, *format)).collect();
    let masks: Vec<(i16, Option<Strategy>)> = columns
        .iter()
        .zip(1..)
        .filter(|((_, _, masked, _), _)| *masked)
        .map(|((.., how), number)| (number, how.clone()))
        .collect();
    plan(fields, &masks)
}

/// True if four consecutive bytes of the value are in what became of it.
fn shows(value: &[u8], masked: &[u8]) -> bool {
    value.windows(4).any(|piece| masked.windows(4).any(|other| piece == other))
}

proptest! {
    #[test]
    fn rows_stay_rows((columns, rows) in shapes(), modifier in prop_oneof![Just(-1), 5..30_i32]) {
        let masked = mask(&build(&columns, modifier), &rows).unwrap();
        prop_assert_eq!(masked.len(), rows.len());
        for (raw, masked) in rows.iter().zip(&masked) {
            prop_assert_eq!(raw.len(), masked.len());
            for ((raw, masked), (oid, _, ruled, how)) in raw.iter().zip(masked).zip(&columns) {
                match (raw, masked) {
                    (None, masked) => prop_assert!(masked.is_none()),
                    (raw, masked) if !ruled => prop_assert_eq!(raw, masked),
                    (Some(raw), Some(masked)) => {
                        let hides = matches!(how, None | Some(Strategy::Redact | Strategy::Null | Strategy::Pseudonym));
                        // An array's dimensions and bounds may show.
                        prop_assert!(!hides || matches!(OIDS[*oid], 1007 | 1009) || !shows(raw, masked), "{:?} {:?}", raw, masked);
                    }
                    (Some(_), None) => {}
                }
            }
        }
    }

    #[test]
    fn runs_may_be_cut_anywhere_between_rows((columns, rows) in shapes(), cut in 0..6_usize) {
        let plan = build(&columns, -1);
        let (front, behind) = rows.split_at(cut.min(rows.len()));
        let mut buffer = BytesMut::new();
        let mut parts = Vec::new();
        for part in [front, behind] {
            parts.extend_from_slice(plan.rows(Unmasked::new(run_of(part)), &mut buffer).unwrap().get());
        }
        let whole = plan.rows(Unmasked::new(run_of(&rows)), &mut buffer).unwrap().into_inner();
        prop_assert_eq!(whole, parts);
    }

    #[test]
    fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..60), honest in any::<bool>()) {
        let mut bytes = bytes;
        if honest && bytes.len() > 7 {
            let length = u32::try_from(bytes.len() - 1).unwrap();
            bytes[0] = b'D';
            bytes[1..5].copy_from_slice(&length.to_be_bytes());
            bytes[5..7].copy_from_slice(&[0, 2]);
        }
        let plan = plan(vec![field(1, 25, -1, Format::Text), field(2, 1009, -1, Format::Binary)], &[(1, None), (2, None)]);
        let run = Run { tag: b'D', count: 1, bytes: bytes.into() };
        let _ = plan.rows(Unmasked::new(run), &mut BytesMut::new());
    }
}

#[test]
fn rows_of_another_shape_are_refused() {
    let plan = plan(vec![field(1, 25, -1, Format::Text), field(2, 25, -1, Format::Text)], &[(1, None)]);
    let value = || Some(b"Smith".to_vec());
    assert_eq!(mask(&plan, &[vec![value()]]), Err(Malformed::Value { tag: b'D' }));
    assert_eq!(mask(&plan, &[vec![value(), value(), value()]]), Err(Malformed::Value { tag: b'D' }));
    let rows =
        |bytes: Vec<u8>, tag| plan.rows(Unmasked::new(Run { tag, count: 1, bytes: bytes.into() }), &mut BytesMut::new()).err();
    let good = run_of(&[vec![value(), value()]]).bytes.to_vec();
    assert_eq!(rows(good.clone(), b'D'), None);
    assert_eq!(rows(good.clone(), b'd'), Some(Malformed::Tag(b'd')));
    let mut other = good.clone();
    other[0] = b'd';
    assert_eq!(rows(other, b'D'), Some(Malformed::Tag(b'd')));
    assert!(rows(good[..good.len() - 1].to_vec(), b'D').is_some());
    let mut long = good.clone();
    long.push(0);
    long[4] += 1;
    assert_eq!(rows(long, b'D'), Some(Malformed::LeftOver { tag: b'D' }));
    let mut negative = good;
    negative[7..11].copy_from_slice(&(-2_i32).to_be_bytes());
    assert_eq!(rows(negative, b'D'), Some(Malformed::Length(-2)));
}

#[test]
fn a_clear_plan_hands_back_the_same_memory() {
    let run = run_of(&[vec![Some(b"Smith".to_vec())]]);
    for plan in [RowPlan::clear(), plan(vec![field(1, 25, -1, Format::Text)], &[])] {
        assert!(plan.is_clear());
        let masked = plan.rows(Unmasked::new(run.clone()), &mut BytesMut::new()).unwrap();
        assert_eq!(masked.get().as_ptr(), run.bytes.as_ptr());
        let foreign = Run { tag: b'd', ..run.clone() };
        assert!(plan.rows(Unmasked::new(foreign), &mut BytesMut::new()).is_err());
    }
}

#[test]
fn parts_pass_only_a_clear_plan() {
    let part = |tag| Unmasked::new(Part { tag, place: Place::First, bytes: Bytes::from_static(b"D\0\0\0\x20") });
    assert!(RowPlan::clear().part(part(b'D')).is_ok());
    assert_eq!(RowPlan::clear().part(part(b'd')).err(), Some(CannotStream));
    let masking = plan(vec![field(1, 25, -1, Format::Text)], &[(1, None)]);
    assert_eq!(masking.part(part(b'D')).err(), Some(CannotStream));
}

#[test]
fn columns_are_judged_by_their_origin() {
    let at = |table_oid, attribute| ColumnField { table_oid, attribute, ..field(1, 25, -1, Format::Text) };
    let columns =
        vec![at(TABLE, 1), at(TABLE, 2), at(TABLE, 3), at(0, 0), at(99, 1), at(TABLE, 101), at(TABLE, -1), at(TABLE, 0)];
    let masks = [(1, Some(Strategy::KeepLast(4))), (2, None), (0, None)];
    let judge = |touched| {
        let plan =
            RowPlan::new(&RowDescription { columns: columns.clone() }, None, &map_of(&masks), touched, &catalog(), &keys());
        plan.columns().iter().map(|column| column.verdict).collect::<Vec<_>>()
    };
    use Verdict::{Clear, Masked, Placeholder};
    assert_eq!(judge(true), [Masked, Placeholder, Clear, Placeholder, Placeholder, Placeholder, Clear, Placeholder]);
    assert_eq!(judge(false), [Masked, Placeholder, Clear, Clear, Placeholder, Placeholder, Clear, Placeholder]);
    let free = RowPlan::new(&RowDescription { columns }, None, &MaskMap::default(), false, &catalog(), &keys());
    assert!(free.is_clear() && free.columns().len() == 8);
    let null = plan(vec![field(1, 1082, -1, Format::Text)], &[(1, Some(Strategy::Redact))]);
    let [column] = null.columns() else { panic!("one column") };
    assert_eq!((column.verdict.as_str(), column.reason.as_str()), ("null", "masked by rule on clinical.patients.c (redact)"));
}

/// Ten columns of a patient, of which seven are masked.
fn ten_columns(format: Format) -> (RowPlan, Run) {
    let types = [23, 25, 25, 25, 1082, 25, 25, 701, 2950, 1184];
    let fields = types.into_iter().zip(1..).map(|(oid, number)| field(number, oid, -1, format)).collect();
    let masks = [
        (2, Some(Strategy::KeepLast(4))),
        (3, Some(Strategy::Redact)),
        (4, Some(Strategy::Pseudonym)),
        (5, Some(Strategy::Year)),
        (6, Some(Strategy::Zip3)),
        (8, Some(Strategy::Round(0.1))),
        (9, Some(Strategy::Pseudonym)),
    ];
    let text = |text: &str| Some(text.as_bytes().to_vec());
    let uuid: Vec<u8> = (0..16).collect();
    let row = match format {
        Format::Text => ["4711", "123-45-6789", "Müller", "MRN0012345", "1984-05-17", "90210", "CA", "37.774929"]
            .map(text)
            .into_iter()
            .chain([text("00112233-4455-6677-8899-aabbccddeeff"), text("2024-05-17 10:11:12+00")])
            .collect(),
        Format::Binary => vec![
            Some(4711_i32.to_be_bytes().to_vec()),
            text("123-45-6789"),
            text("Müller"),
            text("MRN0012345"),
            Some((-5707_i32).to_be_bytes().to_vec()),
            text("90210"),
            text("CA"),
            Some(37.774_929_f64.to_be_bytes().to_vec()),
            Some(uuid),
            Some(0_i64.to_be_bytes().to_vec()),
        ],
    };
    (plan(fields, &masks), run_of(&vec![row; 1000]))
}

#[test]
fn masking_a_thousand_rows_allocates_the_buffer_only() {
    for format in [Format::Text, Format::Binary] {
        let (plan, run) = ten_columns(format);
        let mut buffer = BytesMut::new();
        plan.rows(Unmasked::new(run.clone()), &mut buffer).unwrap();
        let info = allocation_counter::measure(|| {
            plan.rows(Unmasked::new(run.clone()), &mut buffer).unwrap();
        });
        assert!(info.count_total <= 4, "{format:?}: {} allocations", info.count_total);
        let info = allocation_counter::measure(|| {
            RowPlan::clear().rows(Unmasked::new(run.clone()), &mut buffer).unwrap();
        });
        assert_eq!(info.count_total, 0);
    }
}
