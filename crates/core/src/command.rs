//! A command is one entry of the ledger: one intent to call one function, and what became of it.
//! The words mean what is proven (design.md §4).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::time::Timestamp;

/// What we know after asking the cloud to call a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// The device's own return value; a negative one too.
    Returned(i32),
    /// The cloud answered for the device: it was not connected, and it has not been heard since.
    DeviceOffline,
    /// The request never left us; trying again is safe.
    NotSent(NotSent),
    /// The cloud said no. The device did not act.
    Refused(CloudRefusal),
    /// The vendor's limit; nothing was done.
    RateLimited { retry_after: Option<Duration> },
    /// It left, and nobody can say. The device may have acted: never repeat blindly.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSent {
    /// The permit was past its `send_by`: rights must be judged again.
    PermitLapsed,
    ConnectionFailed,
    CircuitOpen,
    /// No valid credential for the cloud could be had.
    CredentialRejected,
    /// The product has no cloud connection.
    NotConnected,
    /// Nobody can say whether the intent is durable, so nothing was sent.
    IntentUncertain,
}

/// Why the cloud refused, in neutral words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloudRefusal {
    FunctionUnknown,
    DeviceUnknown,
    CredentialRejected,
    RequestRejected,
}

/// The state of a command, as one enum, so that a settled command without an instant, or a
/// return value without an answer, cannot be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandState {
    Accepted,
    Sent {
        at: Timestamp,
    },
    /// `None`: an event that the function's contract names said that the device did it, and the
    /// number it returned was lost.
    Answered {
        return_value: Option<i32>,
        at: Timestamp,
    },
    Refused {
        by: RefusedBy,
        at: Timestamp,
    },
    Offline {
        at: Timestamp,
    },
    Expired {
        at: Timestamp,
    },
    Cancelled {
        at: Timestamp,
    },
    Unknown {
        at: Timestamp,
    },
}

/// Who said no: our policy before anything left, the cloud itself, or the way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedBy {
    Policy,
    Cloud(CloudRefusal),
    RateLimit,
    NotSent(NotSent),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommandStatus {
    Accepted,
    Sent,
    Answered,
    Refused,
    Offline,
    Expired,
    Cancelled,
    Unknown,
}

impl fmt::Display for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl CommandStatus {
    pub const ALL: [Self; 8] = [
        Self::Accepted,
        Self::Sent,
        Self::Answered,
        Self::Refused,
        Self::Offline,
        Self::Expired,
        Self::Cancelled,
        Self::Unknown,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Sent => "sent",
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Offline => "offline",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no status of a command")]
pub struct InvalidCommandStatus;

impl FromStr for CommandStatus {
    type Err = InvalidCommandStatus;

    fn from_str(text: &str) -> Result<Self, InvalidCommandStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(InvalidCommandStatus)
    }
}

impl CommandState {
    pub const fn status(&self) -> CommandStatus {
        match self {
            Self::Accepted => CommandStatus::Accepted,
            Self::Sent { .. } => CommandStatus::Sent,
            Self::Answered { .. } => CommandStatus::Answered,
            Self::Refused { .. } => CommandStatus::Refused,
            Self::Offline { .. } => CommandStatus::Offline,
            Self::Expired { .. } => CommandStatus::Expired,
            Self::Cancelled { .. } => CommandStatus::Cancelled,
            Self::Unknown { .. } => CommandStatus::Unknown,
        }
    }

    pub const fn is_settled(&self) -> bool {
        match self {
            Self::Accepted | Self::Sent { .. } => false,
            Self::Answered { .. }
            | Self::Refused { .. }
            | Self::Offline { .. }
            | Self::Expired { .. }
            | Self::Cancelled { .. }
            | Self::Unknown { .. } => true,
        }
    }

    /// What a call's outcome makes of an unsettled command.
    pub const fn from_outcome(outcome: CallOutcome, at: Timestamp) -> Self {
        match outcome {
            CallOutcome::Returned(value) => Self::Answered {
                return_value: Some(value),
                at,
            },
            CallOutcome::DeviceOffline => Self::Offline { at },
            CallOutcome::NotSent(cause) => Self::Refused {
                by: RefusedBy::NotSent(cause),
                at,
            },
            CallOutcome::Refused(cause) => Self::Refused {
                by: RefusedBy::Cloud(cause),
                at,
            },
            CallOutcome::RateLimited { .. } => Self::Refused {
                by: RefusedBy::RateLimit,
                at,
            },
            CallOutcome::Unknown => Self::Unknown { at },
        }
    }

    /// The upstream cause in neutral words, for `upstream.code`; `None` if the cloud had no say.
    pub const fn upstream_code(&self) -> Option<UpstreamCode> {
        match self {
            Self::Answered { .. } => Some(UpstreamCode::Ok),
            Self::Offline { .. } => Some(UpstreamCode::DeviceOffline),
            Self::Unknown { .. } => Some(UpstreamCode::NoAnswer),
            Self::Refused {
                by: RefusedBy::Cloud(cause),
                ..
            } => Some(match cause {
                CloudRefusal::FunctionUnknown => UpstreamCode::FunctionUnknown,
                CloudRefusal::DeviceUnknown => UpstreamCode::DeviceUnknown,
                CloudRefusal::CredentialRejected => UpstreamCode::CredentialRejected,
                CloudRefusal::RequestRejected => UpstreamCode::RequestRejected,
            }),
            Self::Refused {
                by: RefusedBy::RateLimit,
                ..
            } => Some(UpstreamCode::RateLimited),
            Self::Refused {
                by: RefusedBy::NotSent(cause),
                ..
            } => Some(match cause {
                NotSent::PermitLapsed | NotSent::IntentUncertain => UpstreamCode::NotSent,
                NotSent::ConnectionFailed => UpstreamCode::Unreachable,
                NotSent::CircuitOpen => UpstreamCode::CircuitOpen,
                NotSent::CredentialRejected => UpstreamCode::CredentialRejected,
                NotSent::NotConnected => UpstreamCode::NotConnected,
            }),
            Self::Refused {
                by: RefusedBy::Policy, ..
            }
            | Self::Accepted
            | Self::Sent { .. }
            | Self::Expired { .. }
            | Self::Cancelled { .. } => None,
        }
    }
}

macro_rules! upstream_codes {
    ($($variant:ident => $text:literal),+ $(,)?) => {
        /// Neutral words for what happened beyond us: the vendor stays invisible to customers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum UpstreamCode { $($variant),+ }

        impl UpstreamCode {
            pub const ALL: &[Self] = &[$(Self::$variant),+];
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl FromStr for UpstreamCode {
            type Err = InvalidCommandStatus;
            fn from_str(text: &str) -> Result<Self, InvalidCommandStatus> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err(InvalidCommandStatus) }
            }
        }
    };
}

upstream_codes! {
    Ok => "ok",
    DeviceOffline => "device-offline",
    NoAnswer => "no-answer",
    FunctionUnknown => "function-unknown",
    DeviceUnknown => "device-unknown",
    CredentialRejected => "credential-rejected",
    RequestRejected => "request-rejected",
    RateLimited => "rate-limited",
    Unreachable => "unreachable",
    CircuitOpen => "circuit-open",
    NotConnected => "not-connected",
    NotSent => "not-sent",
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1);

    #[test]
    fn an_outcome_becomes_the_word_that_is_proven() {
        let table = [
            (CallOutcome::Returned(-1), CommandStatus::Answered, "ok"),
            (CallOutcome::DeviceOffline, CommandStatus::Offline, "device-offline"),
            (
                CallOutcome::NotSent(NotSent::CircuitOpen),
                CommandStatus::Refused,
                "circuit-open",
            ),
            (
                CallOutcome::NotSent(NotSent::ConnectionFailed),
                CommandStatus::Refused,
                "unreachable",
            ),
            (
                CallOutcome::Refused(CloudRefusal::FunctionUnknown),
                CommandStatus::Refused,
                "function-unknown",
            ),
            (
                CallOutcome::RateLimited { retry_after: None },
                CommandStatus::Refused,
                "rate-limited",
            ),
            (CallOutcome::Unknown, CommandStatus::Unknown, "no-answer"),
        ];
        for (outcome, status, code) in table {
            let state = CommandState::from_outcome(outcome, AT);
            assert!(state.is_settled());
            assert_eq!(state.status(), status, "{outcome:?}");
            assert_eq!(
                state.upstream_code().map(UpstreamCode::as_str),
                Some(code),
                "{outcome:?}"
            );
        }
    }

    #[test]
    fn statuses_are_read_as_they_are_written() {
        for status in CommandStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
    }
}
