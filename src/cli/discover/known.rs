//! What columns are usually called, and what is done with them under 45 CFR 164.514(b)(2)(i).

use super::detect::Shape;

/// A kind of column.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// What it is.
    pub(super) name: &'static str,
    /// The clause that names it.
    pub(super) clause: &'static str,
    /// The mask, as policies write it.
    pub(super) with: &'static str,
    /// Types it can have.
    pub(super) types: Types,
    /// What its values look like.
    pub(super) shape: Option<Shape>,
    /// Names that say it, with `*` for any run of characters.
    pub(super) names: &'static str,
    /// Names that hint at it.
    pub(super) hints: &'static str,
}

/// Types of columns, as far as masks care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Types {
    Text,
    Number,
    Date,
    Any,
}

type Row = (&'static str, &'static str, &'static str, Types, Option<Shape>, &'static str, &'static str);

/// The kinds, the more particular first.
pub(super) const KINDS: [Kind; 22] = {
    use Types::{Any, Date, Number, Text};
    const REDACT: &str = "\"redact\"";
    const NULL: &str = "\"null\"";
    const TOKEN: &str = "\"pseudonym\"";
    [
        kind((
            "social security numbers",
            "G",
            REDACT,
            Text,
            Some(Shape::Ssn),
            "ssn *_ssn ssn_* social_security* *tax_id",
            "social*",
        )),
        kind(("e-mail addresses", "F", REDACT, Text, Some(Shape::Email), "email* *_email e_mail *email_address", "mail")),
        kind(("fax numbers", "E", REDACT, Text, None, "fax* *_fax", "")),
        kind((
            "telephone numbers",
            "D",
            REDACT,
            Text,
            Some(Shape::Phone),
            "phone* *_phone *phone_number telephone* mobile* cell tel",
            "*phone* contact_number",
        )),
        kind(("web addresses", "N", REDACT, Text, Some(Shape::Url), "url *_url website web_address", "link")),
        kind(("IP addresses", "O", REDACT, Any, Some(Shape::Ip), "ip ip_address *_ip *ip_addr* client_addr remote_addr", "")),
        kind(("payment cards", "J", REDACT, Text, Some(Shape::Card), "card_number *card_no credit_card*", "pan")),
        kind(("account numbers", "J", REDACT, Text, None, "account_number account_no acct* iban *bank_account*", "account*")),
        kind((
            "medical record numbers",
            "H",
            TOKEN,
            Text,
            None,
            "mrn *_mrn mrn_* medical_record* chart_no chart_number patient_number patient_no",
            "record_number",
        )),
        kind((
            "health plan beneficiary numbers",
            "I",
            TOKEN,
            Text,
            None,
            "member_id member_number subscriber_id beneficiary_id policy_number insurance_id *medicare* *medicaid* mbi hicn",
            "group_number plan_id",
        )),
        kind((
            "certificate and license numbers",
            "K",
            REDACT,
            Text,
            None,
            "licen?e* *_licen?e *licen?e_number certificate*",
            "dea*",
        )),
        kind(("vehicle identifiers", "L", REDACT, Text, None, "vin *plate* vehicle*", "")),
        kind((
            "device identifiers and serial numbers",
            "M",
            REDACT,
            Text,
            None,
            "device_id device_serial* serial_number serial_no udi imei mac_address",
            "device*",
        )),
        kind(("biometric identifiers", "P", NULL, Any, None, "fingerprint* voiceprint* *biometric* retina* dna*", "")),
        kind(("photographs", "Q", NULL, Any, None, "photo* *_photo picture* portrait* headshot", "image* *image *img* face*")),
        kind((
            "names",
            "A",
            REDACT,
            Text,
            None,
            "first_name last_name middle_name full_name given_name* family_name surname maiden_name firstname lastname middlename \
             fullname fname lname patient_name subscriber_name subject_name guarantor*name *holder *holder_name aliases alias \
             nickname preferred_name mother*name *companion_name *_first_name *_last_name *next_of_kin* guardian*",
            "name *_name name_* contact*",
        )),
        kind((
            "ZIP codes",
            "B",
            "\"zip3\"",
            Text,
            Some(Shape::Zip),
            "zip zip_code zipcode zip5 zip9 postal_code postcode *_zip",
            "",
        )),
        kind((
            "geography below a state",
            "B",
            REDACT,
            Text,
            None,
            "address* *_address street* city *_city county precinct town addr* census*",
            "home location residence",
        )),
        kind(("coordinates", "B", NULL, Any, None, "lat lon lng latitude longitude coordinates geo*", "long")),
        kind((
            "dates of birth, death, admission and discharge",
            "C",
            "\"year\"",
            Date,
            None,
            "birth_date date_of_birth dob birthdate birthday born* *_dob death_date date_of_death deceased* dod admission* admit* \
             discharge*",
            "",
        )),
        kind(("ages, which may not show above 89", "C", "\"age\"", Number, None, "", "age age_years *_age")),
        kind((
            "free text",
            "R",
            REDACT,
            Text,
            None,
            "note notes note_text clinical_note* narrative* free_text impression *_notes",
            "body history comment* description remarks detail* summary message text reason",
        )),
    ]
};

const fn kind((name, clause, with, types, shape, names, hints): Row) -> Kind {
    Kind { name, clause, with, types, shape, names, hints }
}

/// Words in the names of tables that hold the people themselves.
pub(super) const PEOPLE: [&str; 12] = [
    "patient",
    "person",
    "people",
    "member",
    "subject",
    "beneficiar",
    "enrollee",
    "participant",
    "insured",
    "client",
    "subscriber",
    "resident",
];
