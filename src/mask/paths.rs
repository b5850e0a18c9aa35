//! Paths into json documents: which parts of a document are masked, and how.
//!
//! All paths of a rule are one small automaton. A part of a document is told by the set of its states, so that a document is walked
//! once however many paths there are. As in PostgreSQL's lax mode a member may stand one array deeper than the path says, and
//! `[*]` also finds a value that stands where the array should be.

use std::sync::Arc;

use super::Strategy;
use super::path_text::{PathFault, PathStep, parse};
use crate::sql::JsonStep;

/// Most states of one rule: about as many as steps in all its paths together.
const STATES_MAX: usize = 256;
/// Bits in a word of a set of states.
const WORD: usize = 64;

/// The masked parts of a json document.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonMask {
    nodes: Arc<[Node]>,
    start: States,
}

/// A set of states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct States([u64; STATES_MAX / WORD]);

/// What becomes of a column that is a part of another, json, column.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Nothing: it lies beside everything that is masked.
    Clear,
    /// It is masked by this strategy.
    Under(Strategy),
    /// It may be masked, and it cannot be told how: it is replaced whole.
    Whole,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Node {
    edges: Vec<(PathStep, usize)>,
    leaf: Option<Strategy>,
    /// It stays when the document is walked down (`..`).
    stays: bool,
}

/// What leads to a part.
#[derive(Debug, Clone, Copy)]
enum Down<'a> {
    Step(&'a JsonStep),
    Element(usize),
}

impl JsonMask {
    /// Reads paths, each with what is done there; where two find the same value, the first counts.
    ///
    /// # Errors
    /// A path that cannot be read, or too much of them; with its place in the list.
    pub fn new<'a>(rules: impl IntoIterator<Item = (&'a str, Strategy)>) -> Result<Self, (usize, PathFault)> {
        let mut nodes = vec![Node::default()];
        for (index, (path, strategy)) in rules.into_iter().enumerate() {
            let mut steps = parse(path).map_err(|fault| (index, fault))?;
            let strategy = each_element(strategy, &mut steps);
            let last = grow(&mut nodes, steps);
            if nodes.len() > STATES_MAX {
                return Err((index, PathFault::Many));
            }
            if let Some(node) = nodes.get_mut(last) {
                node.leaf.get_or_insert(strategy);
            }
        }
        Ok(Self::from_nodes(nodes))
    }

    /// The document itself is masked, as one value.
    pub(super) fn whole(strategy: &Strategy) -> Self {
        let mut nodes = vec![Node::default()];
        let mut steps = Vec::new();
        let strategy = each_element(strategy.clone(), &mut steps);
        let last = grow(&mut nodes, steps);
        if let Some(node) = nodes.get_mut(last) {
            node.leaf = Some(strategy);
        }
        Self::from_nodes(nodes)
    }

    /// Nothing is masked.
    pub(super) fn none() -> Self {
        Self { nodes: Arc::from([]), start: States::default() }
    }

    fn from_nodes(nodes: Vec<Node>) -> Self {
        let mut mask = Self { nodes: nodes.into(), start: States::default() };
        mask.start = mask.settled(States::of(0));
        mask
    }

    /// What becomes of a part of the document.
    #[must_use]
    pub fn part(&self, path: &[JsonStep]) -> Part {
        let (mut states, mut certain) = (self.start, true);
        for step in path {
            let here = self.in_place(states);
            // Below something that is masked as one value, or would be if it were no array.
            if let Some(strategy) = self.leaf(if matches!(step, JsonStep::Element) { states } else { here }) {
                return self.below(strategy, states);
            }
            certain &= match step {
                JsonStep::Member(name) => !is_index(name),
                JsonStep::Element => !self.counts(here),
                JsonStep::Any => false,
            };
            states = self.walk(here, Down::Step(step));
        }
        match self.leaf(states) {
            _ if states.is_empty() => Part::Clear,
            Some(strategy) if certain || self.decided(states) => Part::Under(strategy.clone()),
            Some(_) => Part::Whole,
            None => Part::Under(Strategy::Json(Self { start: states, ..self.clone() })),
        }
    }

    /// True if it matters which element.
    fn counts(&self, states: States) -> bool {
        self.live(states).any(|(_, node)| node.edges.iter().any(|(step, _)| matches!(step, PathStep::Element(_))))
    }

    /// A part of what is masked: only what holds nothing of the value, or what looks into every part, is sure to fit.
    fn below(&self, strategy: &Strategy, states: States) -> Part {
        match strategy {
            Strategy::Redact | Strategy::Null | Strategy::Fixed(_) | Strategy::Scan(_) if self.decided(states) => {
                Part::Under(strategy.clone())
            }
            _ => Part::Whole,
        }
    }

    /// True if every state is the end of a path, and all say the same.
    fn decided(&self, states: States) -> bool {
        let mut leaves = states.iter().map(|state| self.nodes.get(state).and_then(|node| node.leaf.as_ref()));
        let first = leaves.next().flatten();
        first.is_some() && leaves.all(|leaf| leaf == first)
    }

    /// What is done at the ends of its paths.
    pub(super) fn strategies(&self) -> impl Iterator<Item = &Strategy> {
        self.nodes.iter().filter_map(|node| node.leaf.as_ref())
    }

    /// The states at the top of a value.
    pub(super) fn start(&self) -> States {
        self.start
    }

    /// What is done with a value in these states, if it is masked as a whole.
    pub(super) fn leaf(&self, states: States) -> Option<&Strategy> {
        states.iter().find_map(|state| self.nodes.get(state)?.leaf.as_ref())
    }

    /// The states of a member, by a test of its name.
    pub(super) fn member(&self, states: States, is: impl Fn(&str) -> bool) -> States {
        let mut found = States::default();
        for (state, node) in self.live(states) {
            for (step, to) in &node.edges {
                if matches!(step, PathStep::Members) || matches!(step, PathStep::Member(name) if is(name)) {
                    found.add(*to);
                }
            }
            if node.stays {
                found.add(state);
            }
        }
        self.settled(found)
    }

    /// The states of the element at `index`.
    pub(super) fn element(&self, states: States, index: usize) -> States {
        self.walk(states, Down::Element(index))
    }

    /// The states of a value that is no array: what `[*]` and `[0]` find in an array they find in its place.
    pub(super) fn in_place(&self, states: States) -> States {
        let mut found = states;
        loop {
            let before = found;
            for (_, node) in self.live(before) {
                let edges = node
                    .edges
                    .iter()
                    .filter(|(step, _)| matches!(step, PathStep::Elements | PathStep::Element(0) | PathStep::Below));
                edges.for_each(|(_, to)| found.add(*to));
            }
            if found == before {
                return found;
            }
        }
    }

    fn walk(&self, states: States, down: Down<'_>) -> States {
        let mut found = States::default();
        for (state, node) in self.live(states) {
            for (step, to) in &node.edges {
                if may(step, down) {
                    found.add(*to);
                }
            }
            let unwraps = match down {
                Down::Element(_) | Down::Step(JsonStep::Element | JsonStep::Any) => true,
                Down::Step(JsonStep::Member(name)) => is_index(name),
            };
            // An array on the way of a member is seen through.
            if node.stays || (unwraps && node.edges.iter().any(|(step, _)| step.is_member())) {
                found.add(state);
            }
        }
        self.settled(found)
    }

    /// With the states that `..` begins.
    fn settled(&self, states: States) -> States {
        let mut all = states;
        for (_, node) in self.live(states) {
            node.edges.iter().filter(|(step, _)| matches!(step, PathStep::Below)).for_each(|(_, to)| all.add(*to));
        }
        all
    }

    fn live(&self, states: States) -> impl Iterator<Item = (usize, &Node)> {
        states.iter().filter_map(|state| Some((state, self.nodes.get(state)?)))
    }
}

/// True if a step of a path may lead where the walk goes.
fn may(step: &PathStep, down: Down<'_>) -> bool {
    match (step, down) {
        (PathStep::Below, _) => false,
        (_, Down::Step(JsonStep::Any)) => true,
        (PathStep::Elements, Down::Element(_) | Down::Step(JsonStep::Element)) => true,
        (PathStep::Element(_), Down::Step(JsonStep::Element)) => true,
        (PathStep::Element(wanted), Down::Element(index)) => *wanted == index,
        (PathStep::Elements | PathStep::Element(_), Down::Step(JsonStep::Member(name))) => is_index(name),
        (PathStep::Members, Down::Step(JsonStep::Member(_))) => true,
        (PathStep::Member(wanted), Down::Step(JsonStep::Member(name))) => wanted == name,
        (PathStep::Member(_) | PathStep::Members, Down::Element(_) | Down::Step(JsonStep::Element)) => false,
    }
}

/// What is done with each element of an array is done one step further.
fn each_element(strategy: Strategy, steps: &mut Vec<PathStep>) -> Strategy {
    match strategy {
        Strategy::Elements(strategy) => {
            steps.push(PathStep::Elements);
            *strategy
        }
        strategy => strategy,
    }
}

/// `#>` takes the place of an element as text, counted from the end below zero.
fn is_index(name: &str) -> bool {
    name.trim().parse::<i64>().is_ok()
}

/// Adds the states of a path; the last.
fn grow(nodes: &mut Vec<Node>, path: Vec<PathStep>) -> usize {
    let mut at = 0;
    for step in path {
        let known = nodes.get(at).and_then(|node| node.edges.iter().find(|(known, _)| *known == step));
        let next = match known {
            Some((_, next)) => *next,
            None => {
                let next = nodes.len();
                nodes.push(Node { stays: step == PathStep::Below, ..Node::default() });
                if let Some(node) = nodes.get_mut(at) {
                    node.edges.push((step, next));
                }
                next
            }
        };
        at = next;
    }
    at
}

impl States {
    fn of(state: usize) -> Self {
        let mut states = Self::default();
        states.add(state);
        states
    }

    fn add(&mut self, state: usize) {
        if let Some(word) = self.0.get_mut(state / WORD) {
            *word |= 1 << (state % WORD);
        }
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == [0; STATES_MAX / WORD]
    }

    fn iter(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().zip((0..).step_by(WORD)).flat_map(|(mut word, base)| {
            std::iter::from_fn(move || {
                let bit = usize::try_from(word.trailing_zeros()).ok().filter(|bit| *bit < WORD)?;
                word &= word - 1;
                Some(base + bit)
            })
        })
    }
}
