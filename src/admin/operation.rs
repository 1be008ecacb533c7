//! One call of the admin API: where it is, who answers it, and what it takes and answers.
//!
//! The router and the `OpenAPI` document are both made of these values, so a call cannot be answered
//! without being described, nor described without being there.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodRouter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::api::Applied;
use super::problem::ProblemKind;
use super::state::Admin;
use super::undeclared::Takes;

/// Makes the schema of a type, and leaves those it refers to with the generator.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A call.
pub(super) struct Operation {
    /// Its method.
    pub(super) method: Method,
    /// Its path, with names in braces.
    pub(super) path: &'static str,
    /// Who answers it.
    pub(super) handler: MethodRouter<Admin>,
    /// Its name in clients that are made from the document.
    pub(super) id: &'static str,
    /// What it does, in one line.
    pub(super) summary: &'static str,
    /// What else there is to say.
    pub(super) more: &'static str,
    /// Whether it may take longer than a call usually does.
    pub(super) is_long: bool,
    /// Whether everybody may call, without a token and from any page.
    pub(super) is_open: bool,
    /// Whether it is done whatever generation the caller saw: a precondition means nothing to it.
    pub(super) is_unconditional: bool,
    /// Its query, as an object.
    pub(super) query: Option<SchemaOf>,
    /// Headers that mean something to it.
    pub(super) headers: Vec<Header>,
    /// Its body.
    pub(super) body: Option<Body>,
    /// Its answers when all is well.
    pub(super) answers: Vec<Answer>,
    /// The problems that are its own; `problems` adds those that come with what it takes.
    pub(super) own_problems: Vec<ProblemKind>,
}

/// A header that a call reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// Who asks; stands in the journal.
    Actor,
    /// The generation that the caller saw.
    IfMatch,
    /// The same call again is not done again.
    IdempotencyKey,
    /// `respond-async`.
    Prefer,
    /// The last event that a follower got.
    LastEventId,
}

/// A body that a call reads, as JSON.
pub(super) struct Body {
    /// Its form.
    pub(super) schema: SchemaOf,
    /// Whether nothing at all will not do.
    pub(super) is_required: bool,
}

/// An answer when all is well.
pub(super) struct Answer {
    /// Its status.
    pub(super) status: u16,
    /// When it comes.
    pub(super) when: &'static str,
    /// Its content type.
    pub(super) content_type: &'static str,
    /// Its form.
    pub(super) schema: SchemaOf,
}

const JSON: &str = "application/json";

impl Operation {
    /// A call with this method. `id` and `summary` name it in the document.
    pub(super) fn new<H, T>(
        method: Method,
        path: &'static str,
        handler: H,
        id: &'static str,
        summary: &'static str,
    ) -> Self
    where
        H: Handler<T, Admin>,
        T: 'static,
    {
        let filter = method.clone().try_into().expect("every call has one of the usual methods");
        Self {
            method,
            path,
            handler: on(filter, handler),
            id,
            summary,
            more: "",
            is_long: false,
            is_open: false,
            is_unconditional: false,
            query: None,
            headers: Vec::new(),
            body: None,
            answers: Vec::new(),
            own_problems: Vec::new(),
        }
    }

    /// The same, with more to say.
    pub(super) fn more(mut self, text: &'static str) -> Self {
        self.more = text;
        self
    }

    /// The same, as long as it takes.
    pub(super) fn long(mut self) -> Self {
        self.is_long = true;
        self
    }

    /// The same, for everybody.
    pub(super) fn open(mut self) -> Self {
        self.is_open = true;
        self
    }

    /// The same, and never refused for its form: whoever goes back has no time to look for it.
    pub(super) fn unconditional(mut self) -> Self {
        self.is_unconditional = true;
        self
    }

    /// The same with a query.
    pub(super) fn query<Q: JsonSchema>(mut self) -> Self {
        self.query = Some(Q::json_schema);
        self
    }

    /// The same with a header that it reads.
    pub(super) fn header(mut self, header: Header) -> Self {
        self.headers.push(header);
        self
    }

    /// The same with a body, which may be left out.
    pub(super) fn body<B: JsonSchema>(self) -> Self {
        self.body_of(SchemaGenerator::subschema_for::<B>, false)
    }

    /// The same with a body that has to be there.
    pub(super) fn needs<B: JsonSchema>(self) -> Self {
        self.body_of(SchemaGenerator::subschema_for::<B>, true)
    }

    /// The same with a body of this form.
    pub(super) fn body_of(mut self, schema: SchemaOf, is_required: bool) -> Self {
        self.body = Some(Body { schema, is_required });
        self
    }

    /// The same with 200 and JSON as its answer.
    pub(super) fn answers<A: JsonSchema>(self, when: &'static str) -> Self {
        self.answers_with(200, when, JSON, SchemaGenerator::subschema_for::<A>)
    }

    /// The same with another status and JSON.
    pub(super) fn or<A: JsonSchema>(self, status: u16, when: &'static str) -> Self {
        self.answers_with(status, when, JSON, SchemaGenerator::subschema_for::<A>)
    }

    /// The same with 200 and an answer of this type, which is no JSON.
    pub(super) fn answers_text(self, when: &'static str, content_type: &'static str) -> Self {
        self.or_text(200, when, content_type)
    }

    /// The same with another status and an answer of this type, which is no JSON.
    pub(super) fn or_text(
        self,
        status: u16,
        when: &'static str,
        content_type: &'static str,
    ) -> Self {
        self.answers_with(status, when, content_type, SchemaGenerator::subschema_for::<String>)
    }

    /// The same with an answer.
    fn answers_with(
        mut self,
        status: u16,
        when: &'static str,
        content_type: &'static str,
        schema: SchemaOf,
    ) -> Self {
        self.answers.push(Answer { status, when, content_type, schema });
        self
    }

    /// The same with problems of its own.
    pub(super) fn problems(mut self, kinds: &[ProblemKind]) -> Self {
        self.own_problems.extend_from_slice(kinds);
        self
    }

    /// The same as a change: made in somebody's name, and answered when every core has taken it.
    pub(super) fn changes(self) -> Self {
        self.changes_or::<Applied>()
    }

    /// The same where there is another answer beside what was applied; `A` is either of them.
    pub(super) fn changes_or<A: JsonSchema>(self) -> Self {
        use ProblemKind::{Conflict, ShuttingDown, StoreUnavailable};
        let is_post = self.method == Method::POST;
        let same = self.header(Header::Actor);
        let same = if is_post { same.header(Header::IdempotencyKey) } else { same };
        same.answers::<A>("Done: every core has taken it.")
            .or::<Applied>(202, "Done, but `lagging_cores` have not taken it yet.")
            .problems(&[Conflict, StoreUnavailable, ShuttingDown])
    }

    /// Every problem that it may answer: its own, and those that come with what it takes.
    pub(super) fn known_problems(&self) -> Vec<ProblemKind> {
        use ProblemKind as Kind;
        let mut kinds = self.own_problems.clone();
        if !self.is_open {
            kinds.extend([Kind::Unauthorized, Kind::ForeignOrigin]);
            if !self.method.is_safe() {
                kinds.push(Kind::Forbidden);
            }
        }
        if self.path.contains('{') {
            kinds.extend([Kind::BadRequest, Kind::NotFound, Kind::Invalid]);
        }
        if Takes::of(self).is_some() {
            kinds.extend([Kind::BadRequest, Kind::Invalid]);
        }
        if self.body.is_some() {
            kinds.extend([Kind::BadRequest, Kind::TooLarge, Kind::UnsupportedType, Kind::Invalid]);
            kinds.push(Kind::TooMany);
        }
        if self.headers.contains(&Header::IfMatch) {
            kinds.extend([Kind::BadRequest, Kind::GenerationMismatch, Kind::PreconditionFailed]);
        }
        if self.headers.contains(&Header::IdempotencyKey) {
            kinds.extend([Kind::BadRequest, Kind::KeyInUse, Kind::KeyReused, Kind::TooMany]);
        }
        if !self.is_long {
            kinds.push(Kind::Timeout);
        }
        kinds.sort_unstable_by_key(|kind| (kind.status(), kind.slug()));
        kinds.dedup();
        kinds
    }
}
