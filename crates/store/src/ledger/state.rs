//! How the state of a command stands in its columns.

use ostler_core::command::{CloudRefusal, CommandState, CommandStatus, NotSent, RefusedBy};
use ostler_core::time::Timestamp;

use crate::error::StoreError;

/// `status`, `cause`, `return_value`, `sent_at`, `settled_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StateColumns {
    pub status: CommandStatus,
    pub cause: Option<&'static str>,
    pub return_value: Option<i32>,
    pub settled_at: Option<Timestamp>,
}

const CAUSES: [(&str, RefusedBy); 12] = [
    ("policy", RefusedBy::Policy),
    ("rate-limit", RefusedBy::RateLimit),
    (
        "cloud:function-unknown",
        RefusedBy::Cloud(CloudRefusal::FunctionUnknown),
    ),
    ("cloud:device-unknown", RefusedBy::Cloud(CloudRefusal::DeviceUnknown)),
    (
        "cloud:credential-rejected",
        RefusedBy::Cloud(CloudRefusal::CredentialRejected),
    ),
    (
        "cloud:request-rejected",
        RefusedBy::Cloud(CloudRefusal::RequestRejected),
    ),
    ("not-sent:permit-lapsed", RefusedBy::NotSent(NotSent::PermitLapsed)),
    (
        "not-sent:connection-failed",
        RefusedBy::NotSent(NotSent::ConnectionFailed),
    ),
    ("not-sent:circuit-open", RefusedBy::NotSent(NotSent::CircuitOpen)),
    (
        "not-sent:credential-rejected",
        RefusedBy::NotSent(NotSent::CredentialRejected),
    ),
    ("not-sent:not-connected", RefusedBy::NotSent(NotSent::NotConnected)),
    (
        "not-sent:intent-uncertain",
        RefusedBy::NotSent(NotSent::IntentUncertain),
    ),
];

fn word(cause: RefusedBy) -> &'static str {
    CAUSES
        .iter()
        .find(|(_, known)| *known == cause)
        .map(|(word, _)| *word)
        .expect("the test below walks through every cause")
}

impl From<CommandState> for StateColumns {
    fn from(state: CommandState) -> Self {
        let plain = |settled_at| Self {
            status: state.status(),
            cause: None,
            return_value: None,
            settled_at,
        };
        match state {
            CommandState::Accepted | CommandState::Sent { .. } => plain(None),
            CommandState::Answered { return_value, at } => Self {
                return_value,
                ..plain(Some(at))
            },
            CommandState::Refused { by, at } => Self {
                cause: Some(word(by)),
                ..plain(Some(at))
            },
            CommandState::Offline { at }
            | CommandState::Expired { at }
            | CommandState::Cancelled { at }
            | CommandState::Unknown { at } => plain(Some(at)),
        }
    }
}

/// The way back. A row that fits no state was not written by us.
pub(super) fn state(
    status: CommandStatus,
    cause: Option<&str>,
    return_value: Option<i64>,
    sent_at: Option<Timestamp>,
    settled_at: Option<Timestamp>,
) -> Result<CommandState, StoreError> {
    let odd = || StoreError::inconsistent("the state of a command");
    let settled = || settled_at.ok_or_else(odd);
    Ok(match status {
        CommandStatus::Accepted => CommandState::Accepted,
        CommandStatus::Sent => CommandState::Sent {
            at: sent_at.ok_or_else(odd)?,
        },
        CommandStatus::Answered => CommandState::Answered {
            return_value: return_value.map(i32::try_from).transpose().map_err(|_| odd())?,
            at: settled()?,
        },
        CommandStatus::Refused => {
            let known = CAUSES.iter().find(|(word, _)| Some(*word) == cause);
            CommandState::Refused {
                by: known.ok_or_else(odd)?.1,
                at: settled()?,
            }
        }
        CommandStatus::Offline => CommandState::Offline { at: settled()? },
        CommandStatus::Expired => CommandState::Expired { at: settled()? },
        CommandStatus::Cancelled => CommandState::Cancelled { at: settled()? },
        CommandStatus::Unknown => CommandState::Unknown { at: settled()? },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(7);

    fn every_state() -> Vec<CommandState> {
        // A cause that is new in core fails to compile here, and then is missing in CAUSES.
        let causes = [
            RefusedBy::Policy,
            RefusedBy::RateLimit,
            RefusedBy::Cloud(CloudRefusal::FunctionUnknown),
            RefusedBy::Cloud(CloudRefusal::DeviceUnknown),
            RefusedBy::Cloud(CloudRefusal::CredentialRejected),
            RefusedBy::Cloud(CloudRefusal::RequestRejected),
            RefusedBy::NotSent(NotSent::PermitLapsed),
            RefusedBy::NotSent(NotSent::ConnectionFailed),
            RefusedBy::NotSent(NotSent::CircuitOpen),
            RefusedBy::NotSent(NotSent::CredentialRejected),
            RefusedBy::NotSent(NotSent::NotConnected),
            RefusedBy::NotSent(NotSent::IntentUncertain),
        ];
        for cause in causes {
            match cause {
                RefusedBy::Policy | RefusedBy::RateLimit => {}
                RefusedBy::Cloud(
                    CloudRefusal::FunctionUnknown
                    | CloudRefusal::DeviceUnknown
                    | CloudRefusal::CredentialRejected
                    | CloudRefusal::RequestRejected,
                ) => {}
                RefusedBy::NotSent(
                    NotSent::PermitLapsed
                    | NotSent::ConnectionFailed
                    | NotSent::CircuitOpen
                    | NotSent::CredentialRejected
                    | NotSent::NotConnected
                    | NotSent::IntentUncertain,
                ) => {}
            }
        }
        let mut states = vec![
            CommandState::Accepted,
            CommandState::Sent { at: AT },
            CommandState::Answered {
                return_value: Some(-3),
                at: AT,
            },
            CommandState::Answered {
                return_value: None,
                at: AT,
            },
            CommandState::Offline { at: AT },
            CommandState::Expired { at: AT },
            CommandState::Cancelled { at: AT },
            CommandState::Unknown { at: AT },
        ];
        states.extend(causes.map(|by| CommandState::Refused { by, at: AT }));
        states
    }

    #[test]
    fn every_state_is_read_as_it_was_written() {
        for written in every_state() {
            let columns = StateColumns::from(written);
            let return_value = columns.return_value.map(i64::from);
            let read = state(
                columns.status,
                columns.cause,
                return_value,
                Some(AT),
                columns.settled_at,
            );
            assert_eq!(read.unwrap(), written);
        }
    }

    #[test]
    fn a_settled_command_without_an_instant_is_refused() {
        assert!(state(CommandStatus::Unknown, None, None, Some(AT), None).is_err());
        assert!(state(CommandStatus::Answered, None, Some(i64::MAX), Some(AT), Some(AT)).is_err());
        assert!(state(CommandStatus::Refused, Some("because"), None, None, Some(AT)).is_err());
    }
}
