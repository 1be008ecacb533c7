//! The kinds of errors of the admin API, each with its status, its words and its page.

/// The kinds of errors there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// The body cannot be read as what the call takes.
    BadRequest,
    /// No token, or a wrong one.
    Unauthorized,
    /// The role of the token does not allow it.
    Forbidden,
    /// A page of another site, or a name that is not ours.
    ForeignOrigin,
    /// No such service, environment or page.
    NotFound,
    /// The page exists, but not for this method.
    MethodNotAllowed,
    /// The state is not the one that the caller had in mind.
    GenerationMismatch,
    /// The state does not allow the change.
    Conflict,
    /// The same call is being worked on.
    KeyInUse,
    /// `If-Match` names another generation.
    PreconditionFailed,
    /// The body is larger than 1 MiB.
    TooLarge,
    /// The body is said to be no JSON.
    UnsupportedType,
    /// Well-formed, but against the rules.
    Invalid,
    /// The key came with another call.
    KeyReused,
    /// The config file cannot be used.
    ConfigInvalid,
    /// A limit on callers is reached.
    TooMany,
    /// The request was not answered in time.
    Timeout,
    /// The store refuses to keep the change.
    StoreUnavailable,
    /// Cyan is going.
    ShuttingDown,
}

/// What there is to say of a kind.
struct Facts {
    kind: ProblemKind,
    status: u16,
    slug: &'static str,
    title: &'static str,
    explanation: &'static str,
}

/// Of every kind, in the order of the enum.
const FACTS: [Facts; 19] = [
    Facts {
        kind: ProblemKind::BadRequest,
        status: 400,
        slug: "bad-request",
        title: "The request cannot be read",
        explanation: "The body must be one JSON object with the fields of the call and no others.",
    },
    Facts {
        kind: ProblemKind::Unauthorized,
        status: 401,
        slug: "unauthorized",
        title: "A token is needed",
        explanation: "Send `Authorization: Bearer TOKEN` with the token of [admin] in the config; on the command line, --token-file FILE.",
    },
    Facts {
        kind: ProblemKind::Forbidden,
        status: 403,
        slug: "forbidden",
        title: "The token's role does not allow it",
        explanation: "A token with role `read` sees everything and changes nothing. Call with a token that has role = \"operate\" in [admin.tokens.NAME] of the config, or with admin.token; on the command line, --token-file FILE.",
    },
    Facts {
        kind: ProblemKind::ForeignOrigin,
        status: 403,
        slug: "foreign-origin",
        title: "The request comes from another site",
        explanation: "A browser sent this for a page of another site, or for a host name that the admin listener does not know. Use its address, or localhost.",
    },
    Facts {
        kind: ProblemKind::NotFound,
        status: 404,
        slug: "not-found",
        title: "No such thing",
        explanation: "GET /v1/services lists the services and their environments.",
    },
    Facts {
        kind: ProblemKind::MethodNotAllowed,
        status: 405,
        slug: "method-not-allowed",
        title: "Not with this method",
        explanation: "The page exists; the Allow header of the answer names its methods.",
    },
    Facts {
        kind: ProblemKind::GenerationMismatch,
        status: 409,
        slug: "generation-mismatch",
        title: "Somebody else was faster",
        explanation: "The service has changed since the generation that the request names. Nothing was changed. `current` holds the service as it is: look at it and decide anew.",
    },
    Facts {
        kind: ProblemKind::Conflict,
        status: 409,
        slug: "conflict",
        title: "The present state does not allow it",
        explanation: "Nothing was changed. The detail says what stands against it and what to do first.",
    },
    Facts {
        kind: ProblemKind::KeyInUse,
        status: 409,
        slug: "key-in-use",
        title: "The same call is under way",
        explanation: "A call with this Idempotency-Key is being worked on. Nothing was done again. Ask once more in a moment: the answer will be that of the first call.",
    },
    Facts {
        kind: ProblemKind::PreconditionFailed,
        status: 412,
        slug: "precondition-failed",
        title: "Somebody else was faster",
        explanation: "The service has changed since the entity tag in If-Match. Nothing was changed. `current` holds the service as it is: look at it and decide anew.",
    },
    Facts {
        kind: ProblemKind::TooLarge,
        status: 413,
        slug: "too-large",
        title: "The body is too large",
        explanation: "The admin API reads at most 1 MiB of a body.",
    },
    Facts {
        kind: ProblemKind::UnsupportedType,
        status: 415,
        slug: "unsupported-type",
        title: "The body is not JSON",
        explanation: "Send JSON, and `Content-Type: application/json` or no Content-Type at all; with curl, use --json instead of --data.",
    },
    Facts {
        kind: ProblemKind::Invalid,
        status: 422,
        slug: "invalid",
        title: "The values break a rule",
        explanation: "Nothing was changed. `errors` points at the fields at fault.",
    },
    Facts {
        kind: ProblemKind::KeyReused,
        status: 422,
        slug: "key-reused",
        title: "The key belongs to another call",
        explanation: "This Idempotency-Key came with another call, or another body, in the last 24 hours. Nothing was changed. Make a new key for every call that shall be made once.",
    },
    Facts {
        kind: ProblemKind::ConfigInvalid,
        status: 422,
        slug: "config-invalid",
        title: "The config file cannot be used",
        explanation: "Nothing was taken over; the old config stays. The detail names file, line, field and remedy of every error.",
    },
    Facts {
        kind: ProblemKind::TooMany,
        status: 429,
        slug: "too-many",
        title: "Too many callers",
        explanation: "The detail names the limit. Long-lived calls must leave room for those that change something.",
    },
    Facts {
        kind: ProblemKind::Timeout,
        status: 503,
        slug: "timeout",
        title: "Not answered in time",
        explanation: "The controller did not answer in time. The change may still happen: look at the state.",
    },
    Facts {
        kind: ProblemKind::StoreUnavailable,
        status: 503,
        slug: "store-unavailable",
        title: "The change cannot be kept",
        explanation: "The state file cannot be written, so nothing that exposes users to more is accepted. Lowering a weight and rolling back still work.",
    },
    Facts {
        kind: ProblemKind::ShuttingDown,
        status: 503,
        slug: "shutting-down",
        title: "Cyan is shutting down",
        explanation: "Nothing was changed. Ask the process that takes over.",
    },
];

impl ProblemKind {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        FACTS.iter().map(|facts| facts.kind)
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        self.facts().status
    }

    /// The last part of the `type`.
    pub const fn slug(self) -> &'static str {
        self.facts().slug
    }

    /// The fixed title.
    pub const fn title(self) -> &'static str {
        self.facts().title
    }

    /// What the page behind the `type` says.
    pub const fn explanation(self) -> &'static str {
        self.facts().explanation
    }

    const fn facts(self) -> &'static Facts {
        &FACTS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_facts_and_a_page_of_its_own() {
        for (place, kind) in ProblemKind::all().enumerate() {
            assert_eq!(kind as usize, place, "{kind:?}");
        }
        let slugs: BTreeSet<_> = ProblemKind::all().map(ProblemKind::slug).collect();
        assert_eq!(slugs.len(), FACTS.len());
    }
}
