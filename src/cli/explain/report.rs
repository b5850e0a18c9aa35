//! What is made of a text, as a value: facts, lineage, what becomes of each column, decision. Names and reasons only.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{shape, trace};
use crate::mask::{ColumnVerdict, Keys, MaskMap, PseudonymKey, RowPlan, Verdict};
use crate::policy::{Decision, HoldTerms, Outcome, Policy, RowsOver, Subject, show_ms};
use crate::sql::{self, Analysis, Catalog, Facts, FunctionName, Lineage, ResultColumn, Setting, Use, Where};
use crate::wire::RowDescription;

/// Who asks, under which policy, on which ground.
pub(in crate::cli) struct Asker<'a> {
    pub(in crate::cli) policy: &'a Policy,
    pub(in crate::cli) catalog: &'a Catalog,
    pub(in crate::cli) database: &'a str,
    pub(in crate::cli) identity: &'a str,
    pub(in crate::cli) groups: &'a [String],
}

/// What is made of a text.
#[derive(Debug, Clone, Serialize)]
pub(in crate::cli) struct Explained {
    pub(in crate::cli) statements: Vec<Statement>,
    /// Of all statements together.
    #[serde(flatten)]
    pub(in crate::cli) ruling: Ruling,
    /// True if the server has told the types of the result.
    pub(in crate::cli) described: bool,
    pub(in crate::cli) note: Option<String>,
}

/// A decision, as it is shown.
#[derive(Debug, Clone, Serialize)]
pub(in crate::cli) struct Ruling {
    pub(in crate::cli) rules: Vec<String>,
    /// `forward`, `hold` or `block`.
    pub(in crate::cli) decision: &'static str,
    pub(in crate::cli) reasons: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) hold: Option<Hold>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) rows_over: Option<Line>,
}

/// What a person must do.
#[derive(Debug, Clone, Serialize)]
pub(in crate::cli) struct Hold {
    pub(in crate::cli) approvers: Vec<String>,
    pub(in crate::cli) approvals: u32,
    pub(in crate::cli) within: String,
}

/// A number of rows after which a person is asked.
#[derive(Debug, Clone, Serialize)]
pub(in crate::cli) struct Line {
    pub(in crate::cli) rows: u64,
    pub(in crate::cli) rules: Vec<String>,
    #[serde(flatten)]
    pub(in crate::cli) hold: Hold,
}

/// One statement.
#[derive(Debug, Clone, Serialize)]
pub(in crate::cli) struct Statement {
    pub(in crate::cli) verb: &'static str,
    pub(in crate::cli) verbs: Vec<&'static str>,
    #[serde(rename = "where")]
    pub(in crate::cli) where_: Where,
    pub(in crate::cli) reads: Vec<String>,
    pub(in crate::cli) writes: Vec<String>,
    pub(in crate::cli) columns: Vec<Column>,
    /// Base columns that are asked about.
    pub(in crate::cli) predicates: Vec<String>,
    /// The same, with how: `null`, `group`, `equal`, `order`, `match`, `fail`, each with its columns.
    pub(in crate::cli) asks: BTreeMap<String, Vec<String>>,
    /// Base columns whose values are stored, by the column they are stored in.
    pub(in crate::cli) stores: BTreeMap<String, Vec<String>>,
    pub(in crate::cli) functions: Vec<String>,
    pub(in crate::cli) touches_masked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) unknown: Option<String>,
    #[serde(flatten)]
    pub(in crate::cli) ruling: Ruling,
}

/// One column of a result.
#[derive(Debug, Clone, Serialize)]
pub(in crate::cli) struct Column {
    pub(in crate::cli) name: String,
    pub(in crate::cli) sources: Vec<String>,
    /// `direct`, `derived`, `revealed`, `clean` or `unknown`.
    pub(in crate::cli) lineage: &'static str,
    /// `clear`, `masked`, `placeholder`, `null` or `refused`.
    pub(in crate::cli) verdict: &'static str,
    pub(in crate::cli) strategy: Option<String>,
    pub(in crate::cli) reason: String,
    #[serde(rename = "type")]
    pub(in crate::cli) type_name: Option<String>,
}

impl Explained {
    /// As one line of JSON.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self)
            .unwrap_or_else(|error| format!("{{\"error\": {}}}", serde_json::Value::from(error.to_string())))
    }
}

/// Analyses and decides as the proxy would. `described` is the server's word on the result of the whole text.
pub(in crate::cli) fn explain(
    asker: &Asker<'_>,
    text: &[u8],
    described: Option<&RowDescription>,
    note: Option<String>,
) -> Explained {
    let setting = Setting {
        catalog: asker.catalog,
        standard_conforming_strings: true,
        client_encoding: "UTF8",
        temporary: &crate::sql::Temporaries::new(),
        prepared: &|_| Vec::new(),
        cursors: &|_| Vec::new(),
    };
    let analysis = sql::analyze(text, &setting);
    let masks = MaskMap::resolve(asker.catalog, &asker.policy.masks_for(asker.groups), asker.policy.known_functions());
    let phi = MaskMap::resolve(asker.catalog, &asker.policy.phi(), asker.policy.known_functions());
    let scene = Scene { asker, masks, phi };
    let whole = scene.decide(&analysis);
    let single = if analysis.statements.len() == 1 { described } else { None };
    let statements = analysis.statements.iter().map(|facts| scene.statement(facts, &whole, single)).collect();
    Explained { statements, ruling: Ruling::of(&whole), described: single.is_some(), note }
}

struct Scene<'a> {
    asker: &'a Asker<'a>,
    masks: MaskMap,
    phi: MaskMap,
}

impl Scene<'_> {
    fn decide(&self, analysis: &Analysis) -> Decision {
        let Asker { policy, database, identity, groups, .. } = self.asker;
        policy.decide(analysis, &Subject { identity, groups, database }, &self.masks, &self.phi)
    }

    fn statement(&self, facts: &Facts, whole: &Decision, described: Option<&RowDescription>) -> Statement {
        let own = self.decide(&Analysis { statements: vec![facts.clone()] });
        let catalog = self.asker.catalog;
        let mut asks: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for asked in &facts.asks {
            asks.entry(use_name(asked.how).to_owned()).or_default().extend(trace::bases(catalog, &asked.of));
        }
        let mut stores: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for stored in &facts.stores {
            let column = stored.column.clone().unwrap_or_else(|| "?".to_owned());
            stores.entry(column).or_default().extend(trace::bases(catalog, &stored.lineage));
        }
        let listed = |map: BTreeMap<String, BTreeSet<String>>| {
            map.into_iter().map(|(key, set)| (key, set.into_iter().collect())).collect::<BTreeMap<String, Vec<String>>>()
        };
        Statement {
            verb: facts.verb.name(),
            verbs: facts.verbs.iter().map(|verb| verb.name()).collect(),
            where_: facts.where_,
            reads: trace::relations(catalog, &facts.reads),
            writes: trace::relations(catalog, &facts.writes),
            columns: self.columns(facts, whole, described),
            predicates: asks.values().flatten().cloned().collect::<BTreeSet<_>>().into_iter().collect(),
            asks: listed(asks),
            stores: listed(stores),
            functions: facts.functions.iter().map(function).collect::<BTreeSet<_>>().into_iter().collect(),
            touches_masked: own.touches_masked,
            unknown: facts.unknown.map(|reason| reason.to_string()),
            ruling: Ruling::of(&own),
        }
    }

    /// What becomes of each column: by the server's description where there is one, else by the catalog's types.
    fn columns(&self, facts: &Facts, whole: &Decision, described: Option<&RowDescription>) -> Vec<Column> {
        let traced = facts.columns.as_deref();
        let described = described.filter(|shape| !shape.columns.is_empty());
        let shape = described.cloned().unwrap_or_else(|| shape::shape(self.asker.catalog, traced.unwrap_or_default()));
        let refused = whole.outcome == Outcome::Block;
        let verdicts = self.judge(&shape, facts, whole);
        let traced = traced.filter(|columns| columns.len() == shape.columns.len());
        let column = |(index, (field, judged)): (usize, (&crate::wire::ColumnField, &ColumnVerdict))| {
            let traced = traced.and_then(|columns| columns.get(index));
            let typed = described.is_some() || traced.is_some_and(shape::is_typed);
            Column {
                name: judged.name.clone(),
                sources: traced.map(|column| trace::bases(self.asker.catalog, &column.lineage)).unwrap_or_default(),
                lineage: self.lineage(traced, judged),
                verdict: if refused { "refused" } else { judged.verdict.as_str() },
                strategy: self.strategy(field, traced).filter(|_| judged.verdict != Verdict::Clear),
                reason: judged.reason.clone(),
                type_name: typed.then(|| self.type_name(field.type_oid)).flatten(),
            }
        };
        shape.columns.iter().zip(&verdicts).enumerate().map(column).collect()
    }

    fn judge(&self, shape: &RowDescription, facts: &Facts, whole: &Decision) -> Vec<ColumnVerdict> {
        let keys = Keys { pseudonym: PseudonymKey::new(&[]), year_now: 2000, names: Default::default() };
        RowPlan::new(shape, facts.columns.as_deref(), &self.masks, whole.touches_masked, self.asker.catalog, &keys)
            .columns()
            .to_vec()
    }

    fn lineage(&self, traced: Option<&ResultColumn>, judged: &ColumnVerdict) -> &'static str {
        let Some(lineage) = traced.map(|column| &column.lineage) else { return "unknown" };
        let masked = |lineage: &Lineage| {
            lineage.sources.iter().any(|source| self.masks.covers(source.relation, source.attribute).is_some())
        };
        if lineage.untraced.is_some() || !lineage.functions.is_empty() && judged.verdict != Verdict::Clear {
            "unknown"
        } else if lineage.sources.is_empty() {
            "clean"
        } else if trace::is_direct(self.asker.catalog, lineage) {
            "direct"
        } else if judged.verdict == Verdict::Clear && masked(lineage) {
            "revealed"
        } else {
            "derived"
        }
    }

    /// The strategies of the masked columns it comes from.
    fn strategy(&self, field: &crate::wire::ColumnField, traced: Option<&ResultColumn>) -> Option<String> {
        let sources = traced.into_iter().flat_map(|column| &column.lineage.sources);
        let origins = sources.map(|source| (source.relation, source.attribute)).chain([(field.table_oid, field.attribute)]);
        let rules = origins.filter_map(|(relation, attribute)| self.masks.covers(relation, attribute));
        let names: BTreeSet<&str> =
            rules.map(|rule| rule.strategy.as_ref().map_or("redact", |strategy| strategy.name())).collect();
        if names.is_empty() { None } else { Some(names.into_iter().collect::<Vec<_>>().join(", ")) }
    }

    fn type_name(&self, oid: u32) -> Option<String> {
        let known = self.asker.catalog.types.get(&oid)?;
        let own = known.schema == "pg_catalog";
        Some(if own { known.name.clone() } else { format!("{}.{}", known.schema, known.name) })
    }
}

fn use_name(how: Use) -> &'static str {
    match how {
        Use::Null => "null",
        Use::Group => "group",
        Use::Equal => "equal",
        Use::Among => "among",
        Use::Order => "order",
        Use::Match => "match",
        Use::Fail => "fail",
    }
}

fn function(name: &FunctionName) -> String {
    match &name.schema {
        Some(schema) => format!("{schema}.{}", name.name),
        None if name.builtin => format!("pg_catalog.{}", name.name),
        None => name.name.clone(),
    }
}

impl Ruling {
    fn of(decision: &Decision) -> Self {
        let (word, hold) = match &decision.outcome {
            Outcome::Forward => ("forward", None),
            Outcome::Hold(terms) => ("hold", Some(Hold::of(terms))),
            Outcome::Block => ("block", None),
        };
        Self {
            rules: decision.rules.clone(),
            decision: word,
            reasons: decision.reasons.clone(),
            hold,
            rows_over: decision.rows_over.as_ref().map(Line::of),
        }
    }
}

impl Hold {
    fn of(terms: &HoldTerms) -> Self {
        Self { approvers: terms.approvers.clone(), approvals: terms.approvals, within: show_ms(terms.within_ms) }
    }
}

impl Line {
    fn of(over: &RowsOver) -> Self {
        Self { rows: over.rows, rules: over.rules.clone(), hold: Hold::of(&over.terms) }
    }
}
