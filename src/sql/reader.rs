//! A place in a run of tokens, and what may stand there.

use super::facts::UnknownReason;
use super::lex::{Kind, Token};
use super::tree::{Name, TypeName};

/// Deepest nesting of parentheses, queries, CASE and the like.
pub(super) const NESTING_MAX: usize = 256;

/// How many levels a query counts for: reading it takes that much more room.
pub(super) const QUERY_LEVELS: usize = 2;

/// A reading step: what was read, or why nothing can be.
pub(super) type Read<T> = Result<T, UnknownReason>;

/// Words that never name a column, table or alias (`kwlist.h`: reserved).
const RESERVED: [&str; 78] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "current_catalog",
    "current_date",
    "current_role",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "from",
    "grant",
    "group",
    "having",
    "in",
    "initially",
    "intersect",
    "into",
    "lateral",
    "leading",
    "limit",
    "localtime",
    "localtimestamp",
    "not",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "placing",
    "primary",
    "references",
    "returning",
    "select",
    "session_user",
    "some",
    "symmetric",
    "system_user",
    "table",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "when",
    "where",
    "window",
    "with",
];

/// Words that name types and functions only.
const FUNCTION_WORDS: [&str; 23] = [
    "authorization",
    "binary",
    "collation",
    "concurrently",
    "cross",
    "current_schema",
    "freeze",
    "full",
    "ilike",
    "inner",
    "is",
    "isnull",
    "join",
    "left",
    "like",
    "natural",
    "notnull",
    "outer",
    "overlaps",
    "right",
    "similar",
    "tablesample",
    "verbose",
];

/// Words that are a column's label only after AS.
const LABELS_AFTER_AS: [&str; 39] = [
    "array",
    "as",
    "char",
    "character",
    "create",
    "day",
    "except",
    "fetch",
    "filter",
    "for",
    "from",
    "grant",
    "group",
    "having",
    "hour",
    "intersect",
    "into",
    "isnull",
    "limit",
    "minute",
    "month",
    "notnull",
    "offset",
    "on",
    "order",
    "over",
    "overlaps",
    "precision",
    "returning",
    "second",
    "to",
    "union",
    "varying",
    "where",
    "window",
    "with",
    "within",
    "without",
    "year",
];

fn among(words: &[&str], word: &str) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// Tokens of one statement, and how far they are read.
#[derive(Clone)]
pub(super) struct Reader<'t> {
    /// The text they are of.
    pub(super) text: &'t str,
    /// The tokens.
    pub(super) tokens: &'t [Token],
    /// The next one.
    pub(super) at: usize,
    depth: usize,
}

impl<'t> Reader<'t> {
    /// Starts at the first token.
    pub(super) fn new(text: &'t str, tokens: &'t [Token]) -> Self {
        Self { text, tokens, at: 0, depth: 0 }
    }

    /// The token `ahead` of the next one.
    pub(super) fn peek(&self, ahead: usize) -> Option<&'t Token> {
        self.tokens.get(self.at + ahead)
    }

    /// True if one token is left.
    pub(super) fn is_last(&self) -> bool {
        self.at + 1 == self.tokens.len()
    }

    /// True if nothing is left.
    pub(super) fn done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// True if the next token is this keyword.
    pub(super) fn is(&self, word: &str) -> bool {
        self.is_at(0, word)
    }

    /// True if the token `ahead` is this keyword.
    pub(super) fn is_at(&self, ahead: usize, word: &str) -> bool {
        self.peek(ahead).is_some_and(|token| token.is(self.text, word))
    }

    /// True if the next token is one of these keywords.
    pub(super) fn is_any(&self, words: &[&str]) -> bool {
        self.peek(0).is_some_and(|token| token.kind == Kind::Word && among(words, token.raw(self.text)))
    }

    /// True if the next token is this sign.
    pub(super) fn sign(&self, sign: &str) -> bool {
        self.sign_at(0, sign)
    }

    /// True if the token `ahead` is this sign.
    pub(super) fn sign_at(&self, ahead: usize, sign: &str) -> bool {
        self.peek(ahead).is_some_and(|token| token.sign(self.text, sign))
    }

    /// Takes a keyword if it comes next.
    pub(super) fn eat(&mut self, word: &str) -> bool {
        let found = self.is(word);
        self.at += usize::from(found);
        found
    }

    /// Takes several keywords if they come next, all or none.
    pub(super) fn eat_all(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(ahead, word)| self.is_at(ahead, word));
        self.at += if found { words.len() } else { 0 };
        found
    }

    /// Takes a sign if it comes next.
    pub(super) fn eat_sign(&mut self, sign: &str) -> bool {
        let found = self.sign(sign);
        self.at += usize::from(found);
        found
    }

    /// Takes a keyword that must come next.
    pub(super) fn need(&mut self, word: &str) -> Read<()> {
        if self.eat(word) { Ok(()) } else { Err(UnknownReason::Syntax) }
    }

    /// Takes a sign that must come next.
    pub(super) fn need_sign(&mut self, sign: &str) -> Read<()> {
        if self.eat_sign(sign) { Ok(()) } else { Err(UnknownReason::Syntax) }
    }

    /// Takes whatever comes next.
    pub(super) fn any(&mut self) -> Read<&'t Token> {
        let token = self.peek(0).ok_or(UnknownReason::Syntax)?;
        self.at += 1;
        Ok(token)
    }

    /// Reads one level deeper.
    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        self.deeper_by(1, read)
    }

    /// Reads what takes the room of several levels.
    pub(super) fn deeper_by<T>(&mut self, levels: usize, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth + levels > NESTING_MAX {
            return Err(UnknownReason::Nesting);
        }
        self.depth += levels;
        let result = read(self);
        self.depth -= levels;
        result
    }

    /// True if the token `ahead` can name a relation, a column or an alias.
    pub(super) fn is_name_at(&self, ahead: usize) -> bool {
        self.peek(ahead).is_some_and(|token| match token.kind {
            Kind::Word => !among(&RESERVED, token.raw(self.text)) && !among(&FUNCTION_WORDS, token.raw(self.text)),
            Kind::Quoted | Kind::Escaped(_) => true,
            _ => false,
        })
    }

    /// True if the token `ahead` can name a function or a type.
    pub(super) fn is_function_at(&self, ahead: usize) -> bool {
        self.peek(ahead).is_some_and(|token| match token.kind {
            Kind::Word => !among(&RESERVED, token.raw(self.text)),
            Kind::Quoted | Kind::Escaped(_) => true,
            _ => false,
        })
    }

    /// True if the next token can label a column without AS.
    pub(super) fn is_bare_label(&self) -> bool {
        self.peek(0).is_some_and(|token| match token.kind {
            Kind::Word => !among(&LABELS_AFTER_AS, token.raw(self.text)),
            Kind::Quoted | Kind::Escaped(_) => true,
            _ => false,
        })
    }

    /// A name that may be any word (after AS, after a dot).
    pub(super) fn label(&mut self) -> Read<String> {
        self.any()?.name(self.text).ok_or(UnknownReason::Syntax)
    }

    /// A name of one part.
    pub(super) fn name(&mut self) -> Read<String> {
        if self.is_name_at(0) { self.label() } else { Err(UnknownReason::Syntax) }
    }

    /// A name of several parts.
    pub(super) fn qualified(&mut self) -> Read<Name> {
        let mut parts = vec![self.name()?];
        while self.sign(".") {
            self.at += 1;
            parts.push(self.label()?);
        }
        Ok(parts)
    }

    /// The target of a statement: `[ONLY] name [*]`, ONLY also with parentheses.
    pub(super) fn relation(&mut self) -> Read<Name> {
        let only = self.eat("only");
        let open = only && self.eat_sign("(");
        let name = self.qualified()?;
        if open {
            self.need_sign(")")?;
        } else if !only {
            self.eat_sign("*");
        }
        Ok(name)
    }

    /// Items with commas between.
    pub(super) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat_sign(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Names in parentheses, if they come next and are no query.
    pub(super) fn columns(&mut self) -> Read<Vec<String>> {
        if !self.sign("(") {
            return Ok(Vec::new());
        }
        self.at += 1;
        let names = self.list(Self::label)?;
        self.need_sign(")")?;
        Ok(names)
    }

    /// True if a query stands at the next token, perhaps behind parentheses.
    pub(super) fn query_ahead(&self) -> bool {
        let mut ahead = 0;
        while self.sign_at(ahead, "(") {
            ahead += 1;
        }
        ["select", "values", "with", "table"].iter().any(|word| self.is_at(ahead, word))
    }

    /// Passes over a parenthesis and all in it.
    pub(super) fn skip_parens(&mut self) -> Read<()> {
        let mut open = 0_usize;
        loop {
            let token = self.any()?;
            if token.sign(self.text, "(") {
                open += 1;
            } else if token.sign(self.text, ")") {
                open = open.checked_sub(1).ok_or(UnknownReason::Syntax)?;
            }
            if open == 0 {
                return Ok(());
            }
        }
    }

    /// A type.
    pub(super) fn type_name(&mut self) -> Read<TypeName> {
        let set = self.eat("setof");
        let letter = self.is_any(&["char", "character", "nchar", "national", "bit"]);
        let mut name = vec![self.type_first()?];
        let one_letter = letter && name.first().is_some_and(|name| matches!(name.as_str(), "bpchar" | "bit"));
        while name.len() < 4 && self.sign(".") {
            self.at += 1;
            name.push(self.label()?);
        }
        if self.sign("%") && self.is_at(1, "type") {
            self.at += 2;
        }
        // CHAR alone is one character.
        let mut sized = one_letter;
        if self.sign("(") {
            self.skip_parens()?;
            sized = true;
        }
        if let [word] = name.as_slice() {
            match word.as_str() {
                "time" | "timestamp" if self.is("with") && self.is_at(1, "time") => {
                    self.at += 3;
                    let zoned = format!("{word}tz");
                    name = vec![zoned];
                }
                "time" | "timestamp" if self.is("without") && self.is_at(1, "time") => self.at += 3,
                "interval" => self.interval_fields(),
                _ => {}
            }
        }
        let mut array = set;
        if self.eat("array") {
            array = true;
        }
        while self.eat_sign("[") {
            array = true;
            if self.peek(0).is_some_and(|token| token.kind == Kind::Number) {
                self.at += 1;
            }
            self.need_sign("]")?;
        }
        Ok(TypeName { name, array, sized })
    }

    /// The first word of a type; several words become one.
    fn type_first(&mut self) -> Read<String> {
        if !self.is_function_at(0) {
            return Err(UnknownReason::Syntax);
        }
        let plain = self.peek(0).is_some_and(|token| token.kind == Kind::Word);
        let word = self.label()?;
        if plain {
            match word.as_str() {
                "double" if self.eat("precision") => return Ok("float8".to_owned()),
                "national" if self.eat("character") || self.eat("char") => {
                    self.eat("varying");
                    return Ok("varchar".to_owned());
                }
                "character" | "char" | "nchar" => {
                    return Ok(if self.eat("varying") { "varchar" } else { "bpchar" }.to_owned());
                }
                "bit" if self.eat("varying") => return Ok("varbit".to_owned()),
                _ => {}
            }
        }
        Ok(word)
    }

    /// YEAR TO MONTH and the like.
    pub(super) fn interval_fields(&mut self) {
        const FIELDS: [&str; 6] = ["year", "month", "day", "hour", "minute", "second"];
        if self.is_any(&FIELDS) {
            self.at += 1;
            if self.is("to") {
                self.at += 2;
            }
        }
        if self.sign("(") && self.peek(1).is_some_and(|token| token.kind == Kind::Number) && self.sign_at(2, ")") {
            self.at += 3;
        }
    }
}
