//! Queries whose columns are known by how they were made: no column that can show may be missing from what is said of them.

use pgveil::sql::{Facts, Lineage, Verb};

use super::grammar::{Grammar, Made};
use super::ground::analyzed;
use super::input::Input;

/// A query made by the bytes.
pub fn sql_lineage(data: &[u8]) {
    let mut input = Input::new(data);
    let query = Grammar::new(&mut input).query(&[]);
    let analysis = analyzed(query.text.as_bytes(), "UTF8", true);
    let [facts] = analysis.statements.as_slice() else { panic!("one statement: {}", query.text) };
    assert_eq!((facts.verb, facts.unknown), (Verb::Select, None), "{}", query.text);
    for column in &query.columns {
        reached(&column.made_of, facts, &query.text);
    }
    let Some(told) = &facts.columns else { return };
    assert_eq!(told.len(), query.columns.len(), "{}", query.text);
    for (told, column) in told.iter().zip(&query.columns) {
        assert_eq!(told.name, column.name, "{}", query.text);
        let missing: Vec<_> = column.made_of.iter().filter(|made_of| !tells(&told.lineage, **made_of)).collect();
        assert!(missing.is_empty(), "`{}` does not tell of {missing:?}: {}\n{told:?}", column.name, query.text);
    }
}

/// True if a lineage speaks of the column, of its whole row, or says that it could not be followed.
fn tells(lineage: &Lineage, (relation, attribute): (u32, i16)) -> bool {
    let whole = |number: i16| number == attribute || number == 0;
    lineage.untraced.is_some() || lineage.sources.iter().any(|source| source.relation == relation && whole(source.attribute))
}

/// Every relation that a column is made of is told to be read.
fn reached(made_of: &Made, facts: &Facts, text: &str) {
    for (relation, _) in made_of {
        let read = facts.reads.iter().any(|read| read.oids.contains(relation));
        assert!(read, "relation {relation} is not told to be read: {text}");
    }
}
