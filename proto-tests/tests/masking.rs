//! Nothing raw leaves: by whatever relation a column is reached, computed or not, in rows, errors, notices and copies.

use std::sync::LazyLock;

use proto_tests::{Canaries, Stand, Wire};

/// Masks for all but clinicians, no holds.
const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/stand/corpus-policy.toml");
static STAND: LazyLock<Stand> = LazyLock::new(|| Stand::start("clinic", &["--policy", POLICY]));
static RAW: LazyLock<Canaries> = LazyLock::new(|| Canaries::of(&STAND));

fn agent() -> Wire {
    Wire::connect(&STAND, &STAND.identity("AGENT"))
}

/// Statements that must give rows, all of them clean, some cells of which are not NULL.
const CLEAN_ROWS: &[&str] = &[
    "select * from clinical.patients order by id limit 50",
    "select p.* from clinical.patients p where state = 'CA'",
    "table clinical.patients",
    "select ssn as harmless, last_name as \"id\" from clinical.patients limit 5",
    "select chart_no, social, surname, dob from clinical.v_patient limit 20",
    "select * from clinical.v_barrier limit 20",
    "select * from clinical.v_label limit 20",
    "select * from research.cohort limit 20",
    "select * from clinical.encounters_2022 limit 500",
    "select id, companion_name from clinical.encounters where companion_name is not null limit 20",
    "select * from clinical.emergency_contacts limit 20",
    "select * from clinical.contacts limit 20",
    "select * from only clinical.contacts limit 20",
    "select * from billing.claims limit 20",
    "select * from billing.payments limit 20",
    "select * from research.subjects limit 20",
    "select id, upper(last_name), left(ssn, 5), birth_date + 1, reverse(mrn) from clinical.patients limit 20",
    "select id, p from clinical.patients p limit 5",
    "select id, to_jsonb(p) from clinical.patients p limit 5",
    "select state, string_agg(last_name, ','), min(ssn), array_agg(mrn) from clinical.patients group by state",
    "with t as (select id, last_name as x from clinical.patients) select id, x || '!' from t limit 5",
    "select id, last_name from clinical.patients where id < 5 union all select patient_id, subject_name from research.subjects",
    "select id, (select last_name from clinical.patients q where q.id = p.id) from clinical.patients p limit 5",
    "select id, coalesce(middle_name, last_name), ssn::text, birth_date::text from clinical.patients limit 20",
    "select id, rank() over (order by id), lag(last_name) over (order by id) from clinical.patients limit 20",
    "select e.id, p.last_name, p.ssn from clinical.encounters e join clinical.patients p on p.id = e.patient_id limit 20",
    "select id, body from clinical.clinical_notes limit 20",
    "select id, doc from clinical.documents limit 5",
];

#[test]
fn by_whatever_way_a_column_is_reached() {
    let mut wire = agent();
    for sql in CLEAN_ROWS {
        let reply = wire.query(sql);
        RAW.assert_clean(sql, &reply.bytes());
        let refusal = reply.of(b'E').next().and_then(|m| m.field(b'M'));
        assert_eq!(refusal, None, "{sql}: ordinary work is refused");
        assert!(reply.rows().iter().flatten().any(Option::is_some), "{sql}: nothing came");
    }
}

#[test]
fn the_same_in_the_extended_protocol_in_both_formats() {
    let mut wire = agent();
    for sql in CLEAN_ROWS {
        for format in [0, 1] {
            wire.pipeline(|p| {
                p.parse("", sql).bind("", "", &[], format).describe(b'P', "").execute("", 0).sync();
            });
            let reply = wire.reply();
            RAW.assert_clean(sql, &reply.bytes());
            assert!(reply.tags().ends_with("CZ"), "{sql}: {}", reply.tags());
        }
    }
}

#[test]
fn unmasked_columns_beside_masked_ones_are_as_they_are() {
    let sql =
        "select id, sex, state, risk_score, tags, external_id, created_at, last_name from clinical.patients order by id limit 40";
    let masked = agent().query(sql).rows();
    let direct = Wire::owner(&STAND).query(sql).rows();
    for (m, d) in masked.iter().zip(&direct) {
        assert_eq!(m[..7], d[..7]);
        assert_ne!(m[7], d[7]);
    }
    for sql in [
        "select * from clinical.providers order by id",
        "select p.code, count(*), avg(value) from clinical.observations o join clinical.codes p using (code) group by 1 order by 1",
    ] {
        assert_eq!(agent().query(sql).messages, Wire::owner(&STAND).query(sql).messages, "{sql}");
    }
}

/// Whatever the answer is, nothing raw is in it.
const CLEAN_ANSWERS: &[&str] = &[
    "select last_name::int from clinical.patients where id = 1",
    "select ('x' || ssn)::date from clinical.patients where id = 1",
    "select 1 / (length(last_name) - length(last_name)) from clinical.patients",
    "insert into clinical.patients select * from clinical.patients where id = 1",
    "update clinical.patients set last_name = last_name || last_name || last_name || last_name || last_name where id = 1",
    "update clinical.patients set ssn = (select ssn from clinical.patients where id = 2) where id = 1",
    "insert into clinical.patients (id, mrn, first_name, last_name, birth_date, sex, external_id, created_at) \
     select 900001, mrn, 'a', 'b', now(), 'F', gen_random_uuid(), now() from clinical.patients where id = 1",
    "do $$ declare r record; begin select * into r from clinical.patients where id = 1; raise notice '%', r; end $$",
    "call clinical.fetch_phone(1, null)",
    "select clinical.whisper(1)",
    "select clinical.patient_label(1)",
    "select * from clinical.find_patient('MRN%')",
    "select query_to_xml('select * from clinical.patients limit 3', true, false, '')",
    "select table_to_xml('clinical.patients', true, false, '')",
    "select * from dblink('dbname=clinic', 'select last_name from clinical.patients') as t(x text)",
    "copy clinical.patients to stdout",
    "copy (select last_name from clinical.patients) to stdout with csv header",
    "copy clinical.encounters_2022 to stdout",
    "select most_common_vals from pg_stats where tablename = 'patients'",
    "select * from pg_statistic",
    "explain analyze select * from clinical.patients where last_name = 'x'",
    "create table tests.stolen as select * from clinical.patients",
    "select * into tests.stolen2 from clinical.patients",
    "create view tests.peek as select last_name as harmless from clinical.patients",
    "create function tests.peek() returns setof text language sql as 'select last_name from clinical.patients'",
    "begin; declare c cursor for select last_name, ssn from clinical.patients; fetch 5 from c; commit",
    "prepare q as select last_name, ssn from clinical.patients limit 5; execute q; deallocate q",
    "update clinical.patients set state = state where id = 3 returning last_name, ssn, state",
    "delete from clinical.patients where id = -1 returning *",
    "notify tidings, 'x'; select pg_notify('tidings', last_name) from clinical.patients limit 1",
    "select set_config('my.x', last_name, false) from clinical.patients limit 1; show my.x",
    "set search_path = clinical; select last_name, ssn from patients limit 5; reset search_path",
    // a part of a document under other names, in another place, in pieces
    "select upper(contact #>> '{emergency}'), initcap(contact->>'phones'), replace(contact->>'emergency', 'name', 'nome') from clinical.patients",
    "select to_jsonb(t), row_to_json(t) from (select contact->'emergency' as d from clinical.patients) t",
    "select jsonb_build_object('x', contact->'emergency'), '{}'::jsonb || jsonb_build_object('k', contact->'phones') from clinical.patients",
    "select jsonb_path_query_first(contact, '$.emergency')->'name', (array[contact->'emergency'])[1]->'name' from clinical.patients",
    "select (select array_agg(contact->'emergency') from clinical.patients)[5]->'name'",
    // a temporary relation of a masked one's name
    "begin; create temp table patients (id int, ssn text); insert into patients (id, ssn) select id, ssn from clinical.patients; \
     select lower(ssn) from patients; rollback",
    "create temp table patients (id int, ssn text); insert into pg_temp.patients (ssn) select ssn from clinical.patients; \
     select lower(ssn) from patients; drop table patients",
];

#[test]
fn by_whatever_trick() {
    STAND.owner("grant create on schema clinical to clinic_app");
    for sql in CLEAN_ANSWERS {
        let mut wire = agent();
        let reply = wire.query(sql);
        RAW.assert_clean(sql, &reply.bytes());
        wire.query("rollback");
        // what it left behind is not to be read either
        for table in ["tests.stolen", "tests.stolen2", "tests.peek", "tests.peek()"] {
            RAW.assert_clean(sql, &agent().query(&format!("select * from {table}")).bytes());
        }
    }
}

#[test]
fn errors_keep_what_says_nothing_of_values() {
    let mut wire = agent();
    let sql = "update clinical.patients set mrn = (select mrn from clinical.patients where id = 2) where id = 1";
    let refused = wire.query(sql);
    let error = refused.of(b'E').next().unwrap();
    RAW.assert_clean(sql, &error.body);
    let cast = wire.query("select ('x' || state)::int from clinical.patients where id = 1");
    let error = cast.of(b'E').next().unwrap();
    assert_eq!(error.field(b'C').as_deref(), Some("22P02"));
    assert_eq!(error.field(b'S').as_deref(), Some("ERROR"));
    let syntax = wire.query("select last_nam from clinical.patients");
    let error = syntax.of(b'E').next().unwrap();
    assert_eq!(error.field(b'C').as_deref(), Some("42703"));
    assert!(error.field(b'H').is_some_and(|hint| hint.contains("last_name")), "agents need the hint");
    assert!(error.field(b'P').is_some());
    // a parameter that cannot be read: whose it is, and where nothing masked is touched, what it was
    for (sql, text) in [
        ("select code from clinical.codes where length(code) = $1::int", "invalid input syntax for type integer: \"4x\""),
        ("select last_name from clinical.patients where id = $1::int", "invalid text representation"),
    ] {
        wire.pipeline(|p| {
            p.parse("", sql).bind("", "", &[Some("4x")], 0).execute("", 0).sync();
        });
        let reply = wire.reply();
        let error = reply.of(b'E').next().unwrap();
        assert_eq!(error.field(b'M').as_deref(), Some(text), "{sql}");
        assert!(error.field(b'W').is_some_and(|context| context.contains("parameter $1")), "{sql}");
    }
}

#[test]
fn a_table_made_after_the_session_began_is_known() {
    let mut wire = agent();
    wire.query("select 1");
    STAND.owner(
        "create table clinical.late () inherits (clinical.contacts); \
         insert into clinical.late select id + 5000, id, last_name, phone from clinical.patients where id < 20; \
         create view clinical.v_late as select last_name as word from clinical.patients",
    );
    for sql in
        ["select * from clinical.late", "select * from clinical.contacts where id > 5000", "select word from clinical.v_late"]
    {
        RAW.assert_clean(sql, &wire.query(sql).bytes());
    }
}

#[test]
fn the_first_sessions_know_the_catalog() {
    let stand = Stand::start("clinic", &["--policy", POLICY]);
    let agent = stand.identity("AGENT");
    // all at once, while the catalog is being read for the first time
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let reply = Wire::connect(&stand, &agent).query("select state, last_name from clinical.patients where id = 1");
                assert_eq!(reply.rows()[0][0].as_deref(), Some("AZ"), "an unmasked column is masked");
                RAW.assert_clean("the first statement", &reply.bytes());
            });
        }
    });
}

#[test]
fn what_tells_nothing_of_a_single_value_is_clear() {
    for sql in [
        "select count(*), count(ssn), count(distinct last_name), count(*) filter (where middle_name is null) from clinical.patients",
        "select id, ssn is null as unknown, middle_name is not null as named from clinical.patients order by id limit 20",
        "select avg(clinical.age_years(birth_date))::numeric(6,2) as mean_age from clinical.patients where state = 'TX'",
        "select extract(year from birth_date) as year, count(*) from clinical.patients group by 1 order by 1",
        "select upper(state) as state, id * 2 as twice, risk_score + 1 as more from clinical.patients order by id limit 20",
        "with p as (select id, state || '!' as s from clinical.patients) select s, count(*) from p group by s order by s",
    ] {
        let direct = Wire::owner(&STAND).query(sql).rows();
        assert_eq!(agent().query(sql).rows(), direct, "{sql}");
        let mut wire = agent();
        wire.pipeline(|p| {
            p.parse("", sql).bind("", "", &[], 0).execute("", 0).sync();
        });
        assert_eq!(wire.reply().rows(), direct, "{sql}: extended");
    }
}

/// Two texts whose rows have the same description: one of clear, one of masked columns.
const CLEAR: &str = "select upper(state) as word from clinical.patients where id = 1";
const HIDDEN: &str = "select upper(last_name) as word from clinical.patients where id = 1";

#[test]
fn texts_whose_rows_look_alike_have_plans_of_their_own() {
    let clear = Wire::owner(&STAND).query(CLEAR).rows();
    let mut wire = agent();
    for _ in 0..3 {
        assert_eq!(wire.query(CLEAR).rows(), clear);
        RAW.assert_clean(HIDDEN, &wire.query(HIDDEN).bytes());
        assert_ne!(wire.query(HIDDEN).rows(), Wire::owner(&STAND).query(HIDDEN).rows());
    }
    wire.pipeline(|p| {
        p.parse("hidden", HIDDEN).parse("clear", CLEAR);
        for statement in ["clear", "hidden", "clear", "hidden"] {
            p.bind("", statement, &[], 0).execute("", 0);
        }
        p.sync();
    });
    let reply = wire.reply();
    RAW.assert_clean("alternating", &reply.bytes());
    assert_eq!(reply.rows()[0], clear[0]);
    assert_eq!(reply.rows()[2], clear[0]);
}

#[test]
fn a_statement_of_several_is_judged_by_its_own_text() {
    let clear = Wire::owner(&STAND).query(CLEAR).rows();
    let hidden = Wire::owner(&STAND).query(HIDDEN).rows();
    for (sql, clear_at, hidden_at) in [
        (format!("{CLEAR}; {HIDDEN}"), 0, 1),
        (format!(";; {HIDDEN}; ; {CLEAR};"), 1, 0),
        (format!("{HIDDEN}; set timezone = 'UTC'; begin; {CLEAR}; commit"), 1, 0),
    ] {
        let rows = agent().query(&sql).rows();
        assert_eq!(rows[clear_at], clear[0], "{sql}");
        assert_ne!(rows[hidden_at], hidden[0], "{sql}");
    }
}

#[test]
fn a_notice_names_what_could_not_be_traced_once() {
    STAND.owner(
        "create function clinical.plain_word(t text) returns text language plpgsql immutable as $$ begin return t; end $$",
    );
    let sql = "select id, clinical.plain_word(state) as word from clinical.patients where id = 1";
    let mut wire = agent();
    // describing is not seeing
    wire.pipeline(|p| {
        p.parse("s", sql).describe(b'S', "s").bind("", "s", &[], 0).describe(b'P', "").sync();
    });
    assert_eq!(wire.reply().of(b'N').count(), 0);
    let first = wire.query(sql);
    let notice = first.of(b'N').next().expect("no notice");
    assert_eq!((notice.field(b'S').as_deref(), notice.field(b'C').as_deref()), (Some("NOTICE"), Some("00000")));
    let message = notice.field(b'M').unwrap();
    assert!(message.contains("`word`") && message.contains("plain_word") && !message.contains("`id`"), "{message}");
    assert_eq!(first.rows()[0][0].as_deref(), Some("1"));
    assert!(first.tags().ends_with("CZ"));
    assert_eq!(wire.query(sql).of(b'N').count(), 0, "the same text has had its notice");
    // what is masked by its rule is no surprise
    assert_eq!(wire.query("select ssn, upper(ssn) from clinical.patients limit 3").of(b'N').count(), 0);
}

#[test]
fn a_function_or_a_view_redefined_is_read_anew() {
    STAND.owner("create function clinical.shown(p clinical.patients) returns text language sql as $$ select p.state::text $$");
    STAND.owner("create view clinical.v_shown as select id, upper(state) as word from clinical.patients");
    let mut wire = agent();
    for sql in [
        "select clinical.shown(p) as word from clinical.patients p order by id limit 20",
        "select word from clinical.v_shown order by id limit 20",
    ] {
        wire.query(sql);
    }
    STAND.owner(
        "create or replace function clinical.shown(p clinical.patients) returns text language sql as $$ select p.last_name $$",
    );
    STAND.owner("create or replace view clinical.v_shown as select id, upper(last_name) as word from clinical.patients");
    for sql in [
        "select clinical.shown(p) as word from clinical.patients p order by id limit 20",
        "select word from clinical.v_shown order by id limit 20",
    ] {
        RAW.assert_clean(sql, &wire.query(sql).bytes());
    }
}

#[test]
fn a_rule_that_answers_in_a_statements_place_is_masked() {
    STAND.owner(
        "create table clinical.inbox (id int, word text); \
         create rule echo as on insert to clinical.inbox do also \
           select id, upper(last_name) as word from clinical.patients where id < 20",
    );
    let mut wire = agent();
    for sql in [
        "insert into clinical.inbox values (1, 'x')",
        "insert into clinical.inbox values (1, 'x') returning id, upper('x') as word",
        "insert into clinical.inbox values (1, 'x'); select id, upper(state) as word from clinical.patients where id < 20",
    ] {
        RAW.assert_clean(sql, &wire.query(sql).bytes());
    }
}

#[test]
fn what_the_server_cuts_is_masked_whole() {
    let mut wire = agent();
    // Beside a value of type `name` the server makes a text one too, and cuts it to 63 bytes: half an identifier is none to look for.
    let note = "(select body from clinical.clinical_notes where id = 1)";
    for sql in [
        format!("select current_user union all select {note}"),
        format!("select pg_catalog.name('a') union all select {note}"),
        format!("select coalesce(null::name, {note})"),
        format!("select (coalesce(null::name, {note}))::text"),
        format!("select case when now() is not null then {note} else current_schema() end"),
        format!("select (array[session_user, {note}])[2]"),
        format!("select v from (values (current_database()), ({note})) t(v)"),
        format!("select x::text from (select attname as x from pg_attribute where attnum = -1 union all select {note}) y"),
        format!("prepare cut(name) as select coalesce($1, {note}); execute cut(null)"),
    ] {
        let direct = Wire::owner(&STAND).query(&sql);
        let cut = |cell: &String| cell.len() == 63;
        assert!(direct.rows().iter().flatten().flatten().any(cut), "{sql}: the server cuts");
        let reply = wire.query(&sql);
        RAW.assert_clean(&sql, &reply.bytes());
        assert_eq!(reply.sqlstate(), None, "{sql}");
        assert!(!reply.rows().iter().flatten().flatten().any(|cell| cell.contains(' ')), "{sql}: {:?}", reply.rows());
    }
    wire.pipeline(|out| {
        out.parse_typed("", &format!("select coalesce($1, {note})"), &[19]).bind("", "", &[None], 0).execute("", 0).sync();
    });
    assert_eq!(wire.reply().sqlstate().as_deref(), Some("42501"));
    // Nothing is cut beside a text.
    for sql in [
        format!("select {note} union all select 'x'"),
        format!("select coalesce({note}, upper('x'))"),
        format!("select {note} union all select current_user"),
    ] {
        assert!(wire.query(&sql).rows()[0][0].as_deref().is_some_and(|text| text.len() > 63), "{sql}");
    }
}

#[test]
fn what_is_sorted_among_known_values_is_not_found() {
    let mut wire = agent();
    // The server sorts to group: where a known value comes among rows tells on which side of it each of theirs lies.
    let mixed =
        "(select id, ssn as v from clinical.patients where id < 8 union all values (-1, '500-00-0000'), (-2, '250-00-0000')) x";
    for oracle in [
        format!("select id, count(*) over (partition by v) from {mixed}"),
        format!("select id, count(*) from {mixed} group by v, id"),
        format!("select min(id) from {mixed} group by v"),
        format!("select distinct v, id from {mixed}"),
        format!("select distinct on (v) id from {mixed}"),
        format!("(select v, id from {mixed}) except select 'x', 0"),
        "select ssn, id from clinical.patients where id < 8 union select '500-00-0000', -1".to_owned(),
        "select ssn, id from clinical.patients where id < 8 union select lpad(n::text, 9, '0'), -n from generate_series(1, 9) n"
            .to_owned(),
        "select p.id, x.n from clinical.patients p full join (values ('500-00-0000', 1)) x(v, n) on p.ssn = x.v".to_owned(),
        "select id, n from clinical.patients p full join (values ('500-00-0000', 1)) x(ssn, n) using (ssn)".to_owned(),
        "select id, count(*) over (partition by case when id = 3 then '500-00-0000' else ssn end) from clinical.patients"
            .to_owned(),
        "select count(*), min(id) from clinical.patients group by coalesce(ssn, '500-00-0000')".to_owned(),
        format!("select x.id from {mixed} join clinical.patients p on p.ssn = v"),
        format!("select x.id from {mixed} left join (values ('5')) y(v) using (v)"),
        format!("select x.id from {mixed} where v in (select ssn from clinical.patients)"),
        format!("select x.id from {mixed} where not exists (select from (values ('5')) y(w) where w = v)"),
        "select array_agg(distinct (v, id)) from (select id, ssn as v from clinical.patients union all select -1, '5') x"
            .to_owned(),
        "select ssn as v, id from clinical.patients union select code, 0 from clinical.observations".to_owned(),
    ] {
        let direct = Wire::owner(&STAND).query(&oracle).sqlstate();
        assert_eq!((direct, wire.query(&oracle).sqlstate().as_deref()), (None, Some("42501")), "{oracle}");
    }
    for honest in [
        "select ssn, id from clinical.patients where id < 8 union all select '500-00-0000', -1",
        "select distinct ssn from clinical.patients where id < 8 union select ssn from clinical.patients where id < 9",
        "select ssn from clinical.patients where id < 8 union select null",
        "select count(*) from clinical.patients group by coalesce(ssn, 'unknown')",
        "select distinct case when id < 5 then ssn end from clinical.patients where id < 8",
        "select a.id from clinical.patients a full join clinical.patients b on a.ssn = b.ssn and a.id = b.id where a.id < 8",
    ] {
        let reply = wire.query(honest);
        assert_eq!(reply.sqlstate(), None, "{honest}");
        RAW.assert_clean(honest, &reply.bytes());
    }
}

#[test]
fn what_a_statement_counts_up_finds_nothing() {
    let mut wire = agent();
    let mrn = STAND.owner("select mrn from clinical.patients where id = 7");
    // A thousand numbers around the one that is meant: enough to find it, little to count.
    let (thousands, _) = mrn.split_at(mrn.len() - 3);
    let number = thousands.trim_start_matches("MRN-");
    for search in [
        format!(
            "select 'MRN-' || n as found from generate_series({number}000, {number}999) n join clinical.patients p on p.mrn = 'MRN-' || n where p.id = 7"
        ),
        format!(
            "select v from (select 'MRN-' || generate_series({number}000, {number}999) as v) g where v in (select mrn from clinical.patients where id = 7)"
        ),
        format!(
            "with d(x) as (values ('0'), ('1'), ('2'), ('3'), ('4'), ('5'), ('6'), ('7'), ('8'), ('9')) \
             select concat('{thousands}', a.x, b.x, c.x) as found from d a, d b, d c, clinical.patients p \
             where p.id = 7 and p.mrn = concat('{thousands}', a.x, b.x, c.x)"
        ),
        format!(
            "select 'MRN-' || generate_series({number}000, {number}999) as v intersect select mrn from clinical.patients where id = 7"
        ),
    ] {
        assert!(Wire::owner(&STAND).query(&search).rows().iter().flatten().flatten().any(|cell| *cell == mrn), "{search}");
        let reply = wire.query(&search);
        RAW.assert_clean(&search, &reply.bytes());
        assert_eq!(reply.sqlstate().as_deref(), Some("42501"), "{search}");
    }
    // A list that is written out is asked about, as the policy allows.
    for asked in [
        format!("select id from clinical.patients where mrn in ('{mrn}', 'MRN-0000000')"),
        format!("select id from clinical.patients join (values ('{mrn}'), ('x')) v(m) on mrn = m"),
        format!("select id from clinical.patients where mrn = any (select unnest(array['{mrn}', 'x']))"),
    ] {
        assert_eq!(wire.query(&asked).rows(), [[Some("7".to_owned())]], "{asked}");
    }
}
