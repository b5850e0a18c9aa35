//! DO blocks of PL/pgSQL that do nothing but say something: constants, variables of constants, RAISE.
//!
//! Whatever else a block holds, it is code that is not followed.

use super::catalog::Catalog;
use super::facts::UnknownReason;
use super::lex::{self, Kind, Token};
use super::names;
use super::reader::{Read, Reader};

/// Most bytes of a block.
const BYTES_MAX: usize = 65_536;
/// Deepest nesting of blocks and IF.
const DEPTH_MAX: usize = 64;
/// The language of a block that names none.
const LANGUAGE: &str = "plpgsql";
/// Types of variables: PostgreSQL's own, whatever the search path.
const TYPES: [&str; 11] =
    ["int", "integer", "smallint", "bigint", "real", "numeric", "decimal", "boolean", "varchar", "char", "text"];
/// Levels of RAISE.
const LEVELS: [&str; 6] = ["debug", "log", "info", "notice", "warning", "exception"];
/// What USING can set.
const OPTIONS: [&str; 9] = ["message", "detail", "hint", "errcode", "column", "constraint", "datatype", "table", "schema"];

/// True if what follows DO is a block of constants and RAISE alone: it reads nothing, writes nothing and calls nothing.
pub(super) fn is_plain(reader: &Reader<'_>, catalog: &Catalog) -> bool {
    let tokens = reader.tokens.get(reader.at..).unwrap_or_default();
    let Some(code) = code(reader.text, tokens) else { return false };
    if code.len() > BYTES_MAX {
        return false;
    }
    let Ok(tokens) = lex::tokens(&code) else { return false };
    let mut block = Block { reader: Reader::new(&code, &tokens), catalog, variables: Vec::new(), depth: 0 };
    let read = block.block();
    block.reader.eat_sign(";");
    read.is_ok() && block.reader.done()
}

/// The text of the block, if it is one of PL/pgSQL.
fn code(text: &str, tokens: &[Token]) -> Option<String> {
    let language = |token: &Token| {
        let named = token.name(text).or_else(|| token.value(text).map(std::borrow::Cow::into_owned));
        named.is_some_and(|name| name == LANGUAGE)
    };
    let code = match tokens {
        [code] => code,
        [word, name, code] | [code, word, name] if word.is(text, "language") && language(name) => code,
        _ => return None,
    };
    code.value(text).map(std::borrow::Cow::into_owned)
}

/// A block that is read. Every step fails on what is not followed.
struct Block<'t, 'c> {
    reader: Reader<'t>,
    catalog: &'c Catalog,
    /// Variables declared, all of which hold constants.
    variables: Vec<String>,
    depth: usize,
}

impl Block<'_, '_> {
    fn block(&mut self) -> Read<()> {
        let before = self.variables.len();
        if self.reader.eat("declare") {
            while !self.reader.is("begin") {
                self.declaration()?;
            }
        }
        self.reader.need("begin")?;
        self.statements(&["end"])?;
        self.reader.need("end")?;
        self.variables.truncate(before);
        Ok(())
    }

    fn declaration(&mut self) -> Read<()> {
        let name = self.reader.name()?;
        self.reader.eat("constant");
        let kind = self.reader.label()?;
        if !TYPES.contains(&kind.as_str()) || !names::conversions(self.catalog, std::slice::from_ref(&kind)).is_empty() {
            return Err(UnknownReason::Syntax);
        }
        if self.reader.eat_sign(":=") || self.reader.eat_sign("=") || self.reader.eat("default") {
            self.value()?;
        }
        self.variables.push(name);
        self.reader.need_sign(";")
    }

    /// Statements up to one of these words.
    fn statements(&mut self, ends: &[&str]) -> Read<()> {
        while !self.reader.is_any(ends) {
            self.statement()?;
        }
        Ok(())
    }

    fn statement(&mut self) -> Read<()> {
        if self.reader.is_any(&["declare", "begin"]) {
            self.nested(Self::block)?;
        } else if self.reader.eat("if") {
            self.nested(Self::branches)?;
        } else if self.reader.eat("raise") {
            self.raise()?;
        } else if !self.reader.eat("null") && !self.reader.eat("return") {
            let name = self.reader.name()?;
            if !self.variables.contains(&name) || !(self.reader.eat_sign(":=") || self.reader.eat_sign("=")) {
                return Err(UnknownReason::Syntax);
            }
            self.value()?;
        }
        self.reader.need_sign(";")
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Read<()>) -> Read<()> {
        if self.depth >= DEPTH_MAX {
            return Err(UnknownReason::Nesting);
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn branches(&mut self) -> Read<()> {
        loop {
            self.value()?;
            self.reader.need("then")?;
            self.statements(&["elsif", "elseif", "else", "end"])?;
            if !(self.reader.eat("elsif") || self.reader.eat("elseif")) {
                break;
            }
        }
        if self.reader.eat("else") {
            self.statements(&["end"])?;
        }
        self.reader.need("end")?;
        self.reader.need("if")
    }

    /// What stands behind RAISE: a format with its arguments, the name of a condition, or nothing but USING.
    fn raise(&mut self) -> Read<()> {
        if self.reader.is_any(&LEVELS) {
            self.reader.at += 1;
        }
        if self.reader.eat("sqlstate") {
            self.text()?;
        } else if self.reader.peek(0).is_some_and(Token::is_text) {
            self.text()?;
            while self.reader.eat_sign(",") {
                self.value()?;
            }
        } else if !self.reader.is("using") {
            self.reader.name()?;
        }
        if !self.reader.eat("using") {
            return Ok(());
        }
        loop {
            if !self.reader.is_any(&OPTIONS) {
                return Err(UnknownReason::Syntax);
            }
            self.reader.at += 1;
            if !(self.reader.eat_sign("=") || self.reader.eat_sign(":=")) {
                return Err(UnknownReason::Syntax);
            }
            self.value()?;
            if !self.reader.eat_sign(",") {
                return Ok(());
            }
        }
    }

    fn text(&mut self) -> Read<()> {
        if self.reader.any()?.is_text() { Ok(()) } else { Err(UnknownReason::Syntax) }
    }

    /// A constant, or a variable.
    fn value(&mut self) -> Read<()> {
        let negative = self.reader.eat_sign("-");
        let token = self.reader.any()?;
        let text = self.reader.text;
        let constant = match token.kind {
            Kind::Number => true,
            _ if negative => false,
            Kind::Word if ["null", "true", "false"].iter().any(|word| token.is(text, word)) => true,
            Kind::Word | Kind::Quoted => token.name(text).is_some_and(|name| self.variables.contains(&name)),
            _ => token.is_text(),
        };
        if constant { Ok(()) } else { Err(UnknownReason::Syntax) }
    }
}
