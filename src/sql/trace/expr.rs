//! Expressions: each gives a value.

use std::rc::Rc;

use super::Tracer;
use super::aside::{ANY, beside};
use super::cast::BOOL;
use super::many::searched;
use super::value::{Column, Shared, Sum, Value};
use super::{constant, scope};
use crate::sql::lineage::{JsonStep, Untraced, Use, Way};
use crate::sql::tree::{Expr, Is, Query, Sign, Value as Constant};

impl<'a> Tracer<'a> {
    /// What an expression is made of.
    pub(super) fn expr(&mut self, expr: &'a Expr) -> Shared {
        match expr {
            Expr::Value(value) if constant::is_void(value) && !matches!(value, Constant::Number(_)) => self.void.clone(),
            Expr::Value(Constant::Bool(_)) => Rc::new(Value::clean(BOOL)),
            Expr::Value(Constant::Number(number)) => {
                let small = number.abs() <= super::operators::SMALL_MAX;
                Rc::new(Value { small, void: *number == 0.0, ..Value::clean(super::cast::NUMERIC) })
            }
            Expr::Value(Constant::Text(text)) if constant::is_usual_time(text) => {
                Rc::new(Value { small: true, ..Value::clean(0) })
            }
            Expr::Value(_) | Expr::CurrentOf(_) => self.clean.clone(),
            Expr::Parameter(number) => self.parameter(*number),
            Expr::Column(name) => self.named(name),
            _ if !self.deeper() => Rc::new(Value::untraced(Untraced::Bound)),
            expr => {
                let value = self.formed(expr);
                self.shallower();
                value
            }
        }
    }

    fn formed(&mut self, expr: &'a Expr) -> Shared {
        match expr {
            Expr::Star(name) if name.is_empty() => self.clean.clone(),
            Expr::Star(name) => self.row_of(name).unwrap_or_else(|| Rc::new(Value::untraced(Untraced::Name))),
            Expr::Call(call) => self.call(call),
            Expr::Chain(signs, args) => self.chain(signs, args),
            Expr::Compare(sign @ ("=" | "<>"), sides) if constant::is_empty(&sides.1) => {
                let value = self.expr(&sides.0);
                if self.is_text(&value) { Rc::new(null_test(&value)) } else { self.computed(sign, [&sides.0, &sides.1]) }
            }
            Expr::Compare(sign, sides) => self.computed(sign, [&sides.0, &sides.1]),
            Expr::And(list) => self.computed("and", list),
            Expr::Or(list) => self.computed("or", list),
            Expr::Not(inner) => self.computed("not", [inner.as_ref()]),
            Expr::Is(inner, Is::Null, _) => self.is_null(inner),
            Expr::Is(inner, ..) => self.computed("is", [inner.as_ref()]),
            Expr::Distinct(sides, _) => self.computed("is distinct from", [&sides.0, &sides.1]),
            Expr::In(left, list, _) => {
                let all: Vec<&'a Expr> = std::iter::once(left.as_ref()).chain(list).collect();
                self.computed("in", all)
            }
            Expr::InQuery(left, query, _) => {
                let mut sum = Sum::new();
                let left = self.expr(left);
                sum.add(&left);
                let right = self.columns(query);
                sum.add(&right);
                Rc::new(sum.kept().through("in", Some(ANY), BOOL))
            }
            Expr::Between(parts, _) => self.computed("between", [&parts.0, &parts.1, &parts.2]),
            Expr::Any(sides, sign, _) => {
                self.fails_as_operator(sign, &sides.1);
                self.computed(&sign.sign, [&sides.0, &sides.1])
            }
            Expr::Case(subject, branches, otherwise) => self.case(subject.as_deref(), branches, otherwise.as_deref()),
            Expr::Cast(inner, types) => self.casts(inner, types),
            Expr::Row(list) => self.row(list),
            Expr::Array(list) => self.array(list),
            Expr::ArrayQuery(query) => {
                let value = self.columns(query);
                Rc::new(Value { plain: false, ..value.kept(super::cast::ARRAY) })
            }
            Expr::Part(inner, subscripts, fields) => self.part(inner, subscripts, fields),
            Expr::Query(query) => {
                let value = self.scalar(query);
                self.meet(&value);
                value
            }
            Expr::Exists(query) => {
                let _ = self.query(query);
                Rc::new(Value::clean(BOOL))
            }
            Expr::Overlaps(sides) => self.computed("overlaps", [&sides.0, &sides.1]),
            Expr::Collate(inner) => {
                let value = self.expr(inner);
                if value.is_clean() { value } else { Rc::new(value.kept(value.kind)) }
            }
            Expr::Value(_) | Expr::CurrentOf(_) | Expr::Parameter(_) | Expr::Column(_) => self.clean.clone(),
        }
    }

    /// A truth value computed with all of these.
    fn computed(&mut self, function: &str, list: impl IntoIterator<Item = &'a Expr>) -> Shared {
        let mut sum = Sum::new();
        let (mut clean, mut written) = (Vec::new(), Vec::new());
        for expr in list {
            let value = self.expr(expr);
            self.work += sum.add(&value);
            clean.push(value.is_clean());
            written.push(expr);
        }
        Rc::new(sum.kept().through(function, beside(&clean, &written).as_deref(), BOOL))
    }

    /// IS NULL: a column shows only whether it is there; of what stands for several, which one shows.
    fn is_null(&mut self, inner: &'a Expr) -> Shared {
        let value = self.expr(inner);
        Rc::new(null_test(&value))
    }

    /// The columns of a query as one value.
    pub(super) fn columns(&mut self, query: &'a Query) -> Shared {
        match self.query(query) {
            Err(why) => Rc::new(Value::untraced(why)),
            Ok(columns) => {
                if let [only] = columns.as_slice() {
                    return only.value.clone();
                }
                Rc::new(scope::row(Ok(columns)))
            }
        }
    }

    fn scalar(&mut self, query: &'a Query) -> Shared {
        match self.query(query) {
            Err(why) => Rc::new(Value::untraced(why)),
            Ok(columns) => {
                if let Some(first) = columns.first() {
                    self.scalars.insert(std::ptr::from_ref(query), first.name.clone());
                }
                match columns.as_slice() {
                    [only] => only.value.clone(),
                    _ => Rc::new(scope::row(Ok(columns))),
                }
            }
        }
    }

    fn row(&mut self, list: &'a [Expr]) -> Shared {
        let mut columns = Vec::with_capacity(list.len());
        for expr in list {
            // Its fields are counted, whatever they were called before.
            let spread = match self.star(expr) {
                Some(Ok(all)) => all.into_iter().map(|column| column.value).collect(),
                Some(Err(why)) => return Rc::new(Value::untraced(why)),
                None => vec![self.expr(expr)],
            };
            for value in spread {
                columns.push(Column { name: format!("f{}", columns.len() + 1).into(), value });
            }
        }
        Rc::new(scope::row(Ok(Rc::new(columns))))
    }

    fn array(&mut self, list: &'a [Expr]) -> Shared {
        let mut sum = Sum::new();
        for expr in list {
            let value = self.expr(expr);
            self.work += sum.add(&value);
        }
        Rc::new(Value { plain: false, kind: super::cast::ARRAY, ..sum.chosen(self.catalog) })
    }

    fn case(&mut self, subject: Option<&'a Expr>, branches: &'a [(Expr, Expr)], otherwise: Option<&'a Expr>) -> Shared {
        let mut conditions = Sum::new();
        let mut each = Vec::with_capacity(branches.len());
        let subject = subject.map(|subject| self.side(subject));
        let mut counted = subject.as_ref().is_some_and(|(_, counted)| *counted);
        for (condition, result) in branches {
            let (value, also) = self.side(condition);
            counted |= also;
            self.work += conditions.add(&value);
            if subject.is_some() {
                self.asks.ask(searched(Use::Equal, counted), Use::Match, &value);
            } else {
                self.condition(condition);
            }
            each.push(self.expr(result));
        }
        if let Some((value, _)) = &subject {
            self.asks.ask(searched(Use::Equal, counted), Use::Match, value);
            conditions.add(value);
        }
        // The server looks at the type of ELSE first.
        let otherwise = match otherwise {
            Some(otherwise) => self.expr(otherwise),
            None => self.void.clone(),
        };
        let mut results = Sum::new();
        for result in std::iter::once(&otherwise).chain(&each) {
            self.work += results.add(result);
        }
        let results = results.chosen(self.catalog);
        let asked = conditions.kept().through("case", Some(ANY), results.kind);
        if asked.is_clean() {
            return Rc::new(results);
        }
        // What decides was asked above.
        let (kind, plain, small, there) = (results.kind, results.plain, results.small, results.there);
        let known = results.known;
        let mut sum = Sum::new();
        self.work += sum.add(&results) + sum.add(&asked);
        Rc::new(Value { kind, plain, small, there, known, mixed: true, ..sum.kept() })
    }

    /// Fields and elements.
    fn part(&mut self, inner: &'a Expr, subscripts: &'a [Expr], fields: &'a [String]) -> Shared {
        let value = self.fields(inner, fields);
        if subscripts.is_empty() {
            return value;
        }
        let mut steps = Vec::new();
        let mut clean = true;
        for subscript in subscripts {
            let value = self.expr(subscript);
            clean &= value.is_clean();
            self.asks.ask(Use::Match, Use::Match, &value);
            steps.push(super::json::step(subscript));
        }
        let json = super::cast::is_json(self.catalog, value.kind);
        if json && clean {
            return Rc::new(value.part(&steps, value.kind, true));
        }
        let element = super::cast::element(self.catalog, value.kind);
        if clean && let Some(element) = element {
            return Rc::new(Value { plain: false, ..value.kept(element) });
        }
        let _ = JsonStep::Any;
        Rc::new(value.through("subscript", Some(ANY), 0))
    }

    /// Operators of one precedence, from the left.
    fn chain(&mut self, signs: &'a [Sign], args: &'a [Expr]) -> Shared {
        let Some((first, rest)) = args.split_first() else { return self.clean.clone() };
        let mut value = self.expr(first);
        if rest.is_empty() {
            let sign = signs.first().map_or("-", |sign| sign.sign.as_str());
            self.fails_as_prefix(sign, &value);
            return Rc::new(value.through(sign, None, value.kind));
        }
        let mut signs = signs.iter();
        if let Some(Sign { sign, .. }) = signs.clone().next()
            && matches!(sign.as_str(), "like" | "ilike" | "similar")
        {
            return self.pattern(sign, value, rest);
        }
        for arg in rest {
            let sign = signs.next().map_or("", |sign| sign.sign.as_str());
            let right = self.expr(arg);
            self.work += value.sources.len() + right.sources.len();
            value = self.binary(sign, &value, &right, arg);
        }
        value
    }

    fn pattern(&mut self, sign: &str, value: Shared, rest: &'a [Expr]) -> Shared {
        let mut sum = Sum::new();
        sum.add(&value);
        let mut clean = true;
        for arg in rest {
            let value = self.expr(arg);
            if !value.is_clean() {
                self.fail(&value);
                clean = false;
            }
            sum.add(&value);
        }
        let told = match rest {
            [only] if clean => super::constant::shown(only),
            _ => None,
        };
        Rc::new(sum.kept().through(sign, Some(told.as_deref().unwrap_or(ANY)), BOOL))
    }
}

/// Whether a value is there.
pub(super) fn null_test(value: &Value) -> Value {
    if let Some(row) = &value.row {
        let mut sum = Sum::new();
        row.iter().for_each(|column| {
            sum.add(&null_test(&column.value));
        });
        return Value { kind: BOOL, ..sum.kept() };
    }
    if value.mixed {
        return value.through("is null", None, BOOL);
    }
    let mut test = value.through("is null", None, BOOL);
    for source in &mut test.sources {
        let computed = |step: &crate::sql::lineage::Step| step.function != "is null";
        source.way = match &source.way {
            Way::Through(step) if computed(step) => continue,
            Way::Within(_) if !value.plain => continue,
            _ => Way::Counted,
        };
    }
    test.sources.sort_unstable();
    test.sources.dedup();
    test
}
