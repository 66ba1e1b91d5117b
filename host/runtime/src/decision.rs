//! A decision against something, and the rule that made it.

/// What is said of a component or a tool that may not serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The rule, as the audit names it; `docs/policy.md` lists all of them.
    pub(crate) rule: String,
    /// Why, and what the operator would write to change it.
    pub(crate) reason: String,
}

impl Refusal {
    pub(crate) fn by(rule: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            reason: reason.into(),
        }
    }
}

/// What no policy can change: the component itself is not sound.
impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::by("admission", reason)
    }
}
