//! Where holds wait: opened by sessions, answered by people, ended by a deadline.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::hold::{AnswerFault, HoldRequest, OpenFault, Person, Progress, Shown, Verdict};
use super::view::{self, HoldDetail, HoldSummary};
use super::{HELD_BYTES_MAX, REASON_CHARS_MAX};
use crate::ledger::{Answer, Event, HoldAnswered, HoldOpened, SessionId};

/// Letters of identifiers: none that look like another.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// How often another identifier is tried when one is taken.
const TRIES_MAX: usize = 16;

/// Takes what happens to holds, in its order, for the log. Called before the step takes effect, and must not block.
pub type Record = Arc<dyn Fn(SessionId, Event) + Send + Sync>;

/// How many holds may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// At a time.
    pub holds_max: usize,
    /// Of one identity.
    pub holds_identity_max: usize,
}

/// The place where holds wait; copies are the same desk.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    bounds: Bounds,
    record: Record,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: BTreeMap<String, Open>,
    bytes: usize,
    closed: bool,
}

/// A hold that waits.
pub(super) struct Open {
    pub(super) request: HoldRequest,
    pub(super) approved_by: Vec<String>,
    deadline: Instant,
    bytes: usize,
    verdict: oneshot::Sender<Verdict>,
}

/// A session's own end of a hold. Dropping it withdraws the hold.
pub struct Waiting {
    id: String,
    deadline: Instant,
    desk: Desk,
    answer: oneshot::Receiver<Verdict>,
    verdict: Option<Verdict>,
}

impl Desk {
    /// An empty desk.
    #[must_use]
    pub fn new(bounds: Bounds, record: Record) -> Self {
        Self(Arc::new(Inner { bounds, record, state: Mutex::new(State::default()) }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves whole entries only: each change is one insertion or removal.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a statement wait; its time begins now.
    ///
    /// # Errors
    /// When a bound is reached or the desk has closed: the statement is to be refused.
    pub fn open(&self, request: HoldRequest) -> Result<Waiting, OpenFault> {
        let mut state = self.state();
        let bytes = weight(&request);
        self.room(&state, &request, bytes)?;
        let id = free_id(&state)?;
        let deadline = Instant::now() + Duration::from_millis(request.terms.within_ms);
        let opened = HoldOpened {
            hold: id.clone(),
            number: request.number,
            approvers: request.terms.approvers.clone(),
            approvals: request.terms.approvals,
            digest: request.digest,
        };
        (self.0.record)(request.session, Event::HoldOpened(opened));
        let (verdict, answer) = oneshot::channel();
        state.bytes = state.bytes.saturating_add(bytes);
        state.open.insert(id.clone(), Open { request, approved_by: Vec::new(), deadline, bytes, verdict });
        Ok(Waiting { id, deadline, desk: self.clone(), answer, verdict: None })
    }

    fn room(&self, state: &State, request: &HoldRequest, bytes: usize) -> Result<(), OpenFault> {
        let own = state.open.values().filter(|open| open.request.identity == request.identity).count();
        if state.closed {
            Err(OpenFault::Closed)
        } else if state.open.len() >= self.0.bounds.holds_max {
            Err(OpenFault::Full)
        } else if own >= self.0.bounds.holds_identity_max {
            Err(OpenFault::FullForIdentity)
        } else if state.bytes.saturating_add(bytes) > HELD_BYTES_MAX {
            Err(OpenFault::Bytes)
        } else {
            Ok(())
        }
    }

    /// The holds that a person may see: those they may answer and those they asked for.
    #[must_use]
    pub fn list(&self, person: &Person) -> Vec<HoldSummary> {
        let now = Instant::now();
        let state = self.state();
        let mine = state.open.iter().filter(|(_, open)| open.deadline > now && open.visible_to(person));
        mine.map(|(id, open)| view::summary(id, open, open.left_ms(now))).collect()
    }

    /// One hold, if the person may see it.
    #[must_use]
    pub fn show(&self, id: &str, person: &Person) -> Option<HoldDetail> {
        let now = Instant::now();
        let state = self.state();
        let open = state.open.get(id).filter(|open| open.deadline > now && open.visible_to(person))?;
        Some(view::detail(id, open, open.left_ms(now)))
    }

    /// A person's answer: one `false` ends the hold, as many `true` of different people as it needs approve it.
    ///
    /// # Errors
    /// When the answer does not count; nothing has changed then.
    pub fn answer(&self, id: &str, person: &Person, yes: bool, reason: &str) -> Result<Progress, AnswerFault> {
        let mut state = self.state();
        let open = state.open.get_mut(id).ok_or(AnswerFault::NotWaiting)?;
        open.may_answer(person, yes)?;
        let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
        let kind = if yes { Answer::Approved } else { Answer::Denied };
        self.report(open, id, kind, &person.name, &reason);
        if yes {
            open.approved_by.push(person.name.clone());
        }
        let mut progress = open.progress(id);
        let verdict = if !yes {
            Verdict::Denied { by: person.name.clone(), reason }
        } else if u32::try_from(open.approved_by.len()).is_ok_and(|count| count < open.request.terms.approvals) {
            return Ok(progress);
        } else {
            Verdict::Approved { by: open.approved_by.clone() }
        };
        progress.state = if yes { "approved" } else { "denied" };
        if let Some(open) = state.take(id) {
            // The session may have gone this instant; then nothing runs.
            let _ = open.verdict.send(verdict);
        }
        Ok(progress)
    }

    fn report(&self, open: &Open, hold: &str, answer: Answer, by: &str, reason: &str) {
        let entry = HoldAnswered { hold: hold.to_owned(), answer, by: by.to_owned(), reason: reason.to_owned() };
        (self.0.record)(open.request.session, Event::HoldAnswered(entry));
    }

    /// Ends a hold that nobody has ended yet; true if it was so.
    fn end(&self, id: &str, answer: Answer) -> bool {
        let mut state = self.state();
        let Some(open) = state.take(id) else { return false };
        self.report(&open, id, answer, "", "");
        true
    }

    /// Withdraws every hold and takes no more.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.bytes = 0;
        for (id, open) in std::mem::take(&mut state.open) {
            self.report(&open, &id, Answer::Withdrawn, "", "");
            let _ = open.verdict.send(Verdict::Withdrawn);
        }
    }

    /// How many statements wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state().open.len()
    }
}

impl State {
    fn take(&mut self, id: &str) -> Option<Open> {
        let open = self.open.remove(id)?;
        self.bytes = self.bytes.saturating_sub(open.bytes);
        Some(open)
    }
}

impl Open {
    fn approver(&self, person: &Person) -> bool {
        self.request.terms.approvers.iter().any(|group| person.groups.contains(group))
    }

    fn visible_to(&self, person: &Person) -> bool {
        self.request.identity == person.name || self.approver(person)
    }

    fn may_answer(&self, person: &Person, yes: bool) -> Result<(), AnswerFault> {
        if !self.visible_to(person) {
            Err(AnswerFault::NotWaiting)
        } else if self.request.identity == person.name {
            Err(AnswerFault::Own)
        } else if !self.approver(person) {
            Err(AnswerFault::NotApprover)
        } else if self.deadline <= Instant::now() {
            Err(AnswerFault::Expired)
        } else if yes && self.approved_by.contains(&person.name) {
            Err(AnswerFault::Twice)
        } else {
            Ok(())
        }
    }

    fn progress(&self, id: &str) -> Progress {
        let (approved_by, approvals) = (self.approved_by.clone(), self.request.terms.approvals);
        Progress { id: id.to_owned(), state: "waiting", approved_by, approvals }
    }

    fn left_ms(&self, now: Instant) -> u64 {
        u64::try_from(self.deadline.saturating_duration_since(now).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Waiting {
    /// Identifier of the hold, for people.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits for the end: enough approvals, a denial, or the deadline, which counts as denial. Asked again it says the same.
    ///
    /// Cancel safe: dropping the future leaves the hold as it is.
    pub async fn answer(&mut self) -> Verdict {
        if let Some(verdict) = &self.verdict {
            return verdict.clone();
        }
        let verdict = match tokio::time::timeout_at(self.deadline, &mut self.answer).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(_)) => Verdict::Withdrawn,
            Err(_) if self.desk.end(&self.id, Answer::TimedOut) => Verdict::TimedOut,
            // Somebody answered while the deadline passed: what was recorded counts.
            Err(_) => self.answer.try_recv().unwrap_or(Verdict::TimedOut),
        };
        self.verdict = Some(verdict.clone());
        verdict
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.desk.end(&self.id, Answer::Withdrawn);
    }
}

fn weight(request: &HoldRequest) -> usize {
    let parameter = |shown: &Shown| match shown {
        Shown::Null => 0,
        Shown::Text(text) | Shown::Hex(text) => text.len(),
    };
    request.parameters.iter().map(parameter).fold(request.text.len(), usize::saturating_add)
}

/// An identifier such as `h-7k2m9q`: short enough to be said, and not to be guessed within a hold's time.
fn free_id(state: &State) -> Result<String, OpenFault> {
    for _ in 0..TRIES_MAX {
        let mut random = [0_u8; 6];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| OpenFault::Entropy)?;
        let letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).map(|letter| char::from(*letter));
        let id: String = "h-".chars().chain(random.iter().filter_map(letter)).collect();
        if !state.open.contains_key(&id) {
            return Ok(id);
        }
    }
    Err(OpenFault::Entropy)
}
