//! What comes back: messages, and all of them that answer one thing.

/// One message from the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Its type byte.
    pub tag: u8,
    /// What follows type and length.
    pub body: Vec<u8>,
}

/// One column of a `RowDescription`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The relation it comes from, or 0.
    pub relation: u32,
    /// Its number there, or 0.
    pub attribute: u16,
    /// Its type.
    pub type_oid: u32,
    /// Whether its values come in binary.
    pub binary: bool,
}

/// What the messages up to `ReadyForQuery` amount to.
#[derive(Debug, Default)]
pub struct Reply {
    /// All of them.
    pub messages: Vec<Message>,
}

impl Message {
    /// A field of an error or a notice, by its letter.
    #[must_use]
    pub fn field(&self, letter: u8) -> Option<String> {
        let mut rest = self.body.as_slice();
        while let Some((&kind, tail)) = rest.split_first() {
            let end = tail.iter().position(|b| *b == 0)?;
            if kind == letter {
                return Some(String::from_utf8_lossy(&tail[..end]).into_owned());
            }
            rest = &tail[end + 1..];
        }
        None
    }

    /// The columns of a `RowDescription`.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn columns(&self) -> Vec<Column> {
        assert_eq!(self.tag, b'T');
        let mut rest = &self.body[2..];
        let mut columns = Vec::new();
        while !rest.is_empty() {
            let end = rest.iter().position(|b| *b == 0).unwrap();
            let name = String::from_utf8_lossy(&rest[..end]).into_owned();
            let numbers = &rest[end + 1..end + 19];
            let word = |at: usize| u32::from_be_bytes(numbers[at..at + 4].try_into().unwrap());
            let attribute = u16::from_be_bytes([numbers[4], numbers[5]]);
            columns.push(Column { name, relation: word(0), attribute, type_oid: word(6), binary: numbers[17] == 1 });
            rest = &rest[end + 19..];
        }
        columns
    }

    /// The cells of a `DataRow`.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn cells(&self) -> Vec<Option<Vec<u8>>> {
        assert_eq!(self.tag, b'D');
        let mut at = 2;
        let mut cells = Vec::new();
        for _ in 0..u16::from_be_bytes([self.body[0], self.body[1]]) {
            let length = i32::from_be_bytes(self.body[at..at + 4].try_into().unwrap());
            at += 4;
            cells.push(usize::try_from(length).ok().map(|n| {
                at += n;
                self.body[at - n..at].to_vec()
            }));
        }
        assert_eq!(at, self.body.len(), "bytes left over in a DataRow");
        cells
    }
}

impl Reply {
    /// The first error's SQLSTATE.
    #[must_use]
    pub fn sqlstate(&self) -> Option<String> {
        self.of(b'E').next().and_then(|m| m.field(b'C'))
    }

    /// Messages of a type.
    pub fn of(&self, tag: u8) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(move |m| m.tag == tag)
    }

    /// The rows, cells as text.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<Option<String>>> {
        let text = |cell: Option<Vec<u8>>| cell.map(|b| String::from_utf8_lossy(&b).into_owned());
        self.of(b'D').map(|m| m.cells().into_iter().map(text).collect()).collect()
    }

    /// The type bytes in order.
    #[must_use]
    pub fn tags(&self) -> String {
        self.messages.iter().map(|m| char::from(m.tag)).collect()
    }

    /// Every byte of it.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.messages.iter().flat_map(|m| m.body.iter().copied()).collect()
    }
}
