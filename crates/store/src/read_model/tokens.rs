//! Live access tokens in memory, found by digest at every request and by family when one ends.

use std::sync::Arc;

use ostler_core::caller::{Caller, Principal};
use ostler_core::id::{ClientId, CustomerId, StaffId, TokenFamilyId};
use ostler_core::secret::SecretDigest;
use ostler_core::time::Timestamp;

use crate::id_map::IdMap;

/// What a live access token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    pub caller: Caller,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    /// The refresh token that this one answered, until it is used: then that answer has arrived.
    pub confirms: Option<SecretDigest>,
}

/// Which tokens ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokensOf {
    Digest(SecretDigest),
    Family(TokenFamilyId),
    Customer(CustomerId),
    Client(ClientId),
    Staff(StaffId),
    /// All whose time had run out before this.
    ExpiredBy(Timestamp),
}

/// Families end often, by sign-outs and reuse; whole customers and clients rarely, so that those may
/// be looked for.
#[derive(Debug, Default)]
pub(super) struct TokenTable {
    by_digest: IdMap<SecretDigest, Arc<TokenFacts>>,
    families: IdMap<TokenFamilyId, Vec<SecretDigest>>,
}

/// The second map follows from the first, in an order that does not matter.
impl PartialEq for TokenTable {
    fn eq(&self, other: &Self) -> bool {
        self.by_digest == other.by_digest
    }
}

impl TokenTable {
    pub fn get(&self, digest: &SecretDigest) -> Option<&Arc<TokenFacts>> {
        self.by_digest.get(digest)
    }

    pub fn put(&mut self, token: Arc<TokenFacts>) {
        let digest = token.caller.token;
        self.families.entry(token.caller.family_id).or_default().push(digest);
        self.by_digest.insert(digest, token);
    }

    pub fn confirm(&mut self, digest: &SecretDigest) {
        if let Some(token) = self.by_digest.get_mut(digest) {
            Arc::make_mut(token).confirms = None;
        }
    }

    pub fn end(&mut self, which: TokensOf) {
        match which {
            TokensOf::Digest(digest) => self.remove(&digest),
            TokensOf::Family(family_id) => {
                for digest in self.families.remove(&family_id).unwrap_or_default() {
                    self.by_digest.remove(&digest);
                }
            }
            TokensOf::Customer(_) | TokensOf::Client(_) | TokensOf::Staff(_) | TokensOf::ExpiredBy(_) => {
                let ended = self.by_digest.iter().filter(|(_, token)| which.includes(token));
                let ended: Vec<_> = ended.map(|(digest, _)| *digest).collect();
                ended.iter().for_each(|digest| self.remove(digest));
            }
        }
    }

    fn remove(&mut self, digest: &SecretDigest) {
        let Some(token) = self.by_digest.remove(digest) else {
            return;
        };
        let family_id = token.caller.family_id;
        if let Some(digests) = self.families.get_mut(&family_id) {
            digests.retain(|other| other != digest);
            if digests.is_empty() {
                self.families.remove(&family_id);
            }
        }
    }
}

impl TokensOf {
    fn includes(&self, token: &TokenFacts) -> bool {
        match self {
            Self::Digest(digest) => token.caller.token == *digest,
            Self::Family(family_id) => token.caller.family_id == *family_id,
            Self::Customer(customer_id) => token.caller.customer_id() == Some(*customer_id),
            Self::Client(client_id) => token.caller.client_id == *client_id,
            Self::Staff(staff_id) => match &token.caller.who {
                Principal::Staff { staff_id: holder, .. } => holder == staff_id,
                Principal::Customer(_) | Principal::Machine { .. } => false,
            },
            Self::ExpiredBy(now) => token.expires_at <= *now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::scope::ScopeSet;

    fn token(number: u8, family: &str, expires_at: i64) -> Arc<TokenFacts> {
        let customer_id = "cus_01h455vb4pex5vsknk084sn02q".parse().unwrap();
        let caller = Caller {
            who: Principal::Customer(customer_id),
            client_id: "cli_01h455vb4pex5vsknk084sn02q".parse().unwrap(),
            family_id: format!("fam_01h455vb4pex5vsknk084sn02{family}").parse().unwrap(),
            scopes: ScopeSet::EMPTY,
            token: SecretDigest::from_bytes([number; 32]),
        };
        let (issued_at, expires_at) = (Timestamp::from_millis(0), Timestamp::from_millis(expires_at));
        Arc::new(TokenFacts {
            caller,
            issued_at,
            expires_at,
            confirms: None,
        })
    }

    fn table() -> TokenTable {
        let mut table = TokenTable::default();
        [token(1, "q", 10), token(2, "q", 20), token(3, "r", 20)]
            .into_iter()
            .for_each(|token| table.put(token));
        table
    }

    #[test]
    fn whatever_ends_leaves_nothing_behind_in_either_map() {
        let customer_id = "cus_01h455vb4pex5vsknk084sn02q".parse().unwrap();
        let family_id = token(1, "q", 0).caller.family_id;
        for (which, tokens, families) in [
            (TokensOf::Digest(SecretDigest::from_bytes([3; 32])), 2, 1),
            (TokensOf::Digest(SecretDigest::from_bytes([9; 32])), 3, 2),
            (TokensOf::Family(family_id), 1, 1),
            (TokensOf::ExpiredBy(Timestamp::from_millis(10)), 2, 2),
            (TokensOf::Customer(customer_id), 0, 0),
        ] {
            let mut table = table();
            table.end(which);
            assert_eq!(
                (table.by_digest.len(), table.families.len()),
                (tokens, families),
                "{which:?}"
            );
            let listed: usize = table.families.values().map(Vec::len).sum();
            assert_eq!(listed, tokens);
        }
    }
}
