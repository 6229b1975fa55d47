//! Tokens, codes and sessions: races, ends, and that the read model says what the database says.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use ostler_core::caller::{Caller, Principal, ProductReach};
use ostler_core::client::{Client, ClientKind, ClientRegistration, RefreshPolicy};
use ostler_core::id::{ClientId, CustomerId, SessionId, TokenFamilyId};
use ostler_core::scope::{Scope, ScopeSet};
use ostler_core::secret::{AccessToken, AuthorizationCode, RefreshToken, SecretDigest, SessionSecret};
use ostler_core::time::Timestamp;
use ostler_store::{
    Actor, CodeRecord, CodeRedeemed, Created, EndReason, FaultPlan, FaultPoint, LoginSession, NewRefresh, NewTokens,
    RefreshRecord, Refreshed, RegisteredClient, Rotation, Store, StoreError, TokenFacts,
};

use super::world::{Armed, Counting, NOW, Place, World, later, on_both, options};

const SCOPES: ScopeSet = ScopeSet::EMPTY.with(Scope::DevicesRead).with(Scope::OfflineAccess);

fn registration() -> ClientRegistration {
    ClientRegistration {
        name: "App".into(),
        kind: ClientKind::Public,
        flows: vec!["authorization_code".into()],
        redirect_uris: vec!["https://app.example.com/".into(), "com.example.app:/".into()],
        scopes: vec!["devices:read".into(), "offline_access".into()],
        default_scopes: None,
        refresh_policy: RefreshPolicy::Rotating,
        cors_origins: vec!["https://app.example.com".into()],
        products: None,
    }
}

impl World {
    async fn app(&self) -> Client {
        let client = registration().check(ClientId::draw(NOW, &*self.entropy), NOW).unwrap();
        let registered = RegisteredClient {
            client,
            secret_digest: None,
        };
        self.store.create_client(&registered, Actor::System, NOW).await.unwrap();
        registered.client
    }

    fn facts_of(
        &self,
        customer_id: CustomerId,
        client_id: ClientId,
        family_id: TokenFamilyId,
        now: Timestamp,
    ) -> Arc<TokenFacts> {
        let caller = Caller {
            who: Principal::Customer(customer_id),
            client_id,
            family_id,
            scopes: SCOPES,
            token: AccessToken::draw(&*self.entropy).digest(),
        };
        Arc::new(TokenFacts {
            caller,
            issued_at: now,
            expires_at: now + Duration::from_secs(3600),
            confirms: None,
        })
    }

    fn family(&self) -> TokenFamilyId {
        TokenFamilyId::draw(NOW, &*self.entropy)
    }

    async fn code(&self, customer_id: CustomerId, client_id: ClientId) -> SecretDigest {
        let digest = AuthorizationCode::draw(&*self.entropy).digest();
        let code = CodeRecord {
            client_id,
            customer_id,
            redirect_uri: None,
            code_challenge: None,
            scopes: SCOPES,
            expires_at: later(60_000),
        };
        self.store.store_code(digest, &code, NOW).await.unwrap();
        digest
    }

    /// An access and a refresh token, as an authorization yields them.
    async fn signed_in(&self, customer_id: CustomerId, client_id: ClientId) -> (Arc<TokenFacts>, RefreshToken) {
        let facts = self.facts_of(customer_id, client_id, self.family(), NOW);
        let refresh = RefreshToken::draw(&*self.entropy);
        let tokens = NewTokens {
            facts: Arc::clone(&facts),
            refresh: Some(NewRefresh {
                digest: refresh.digest(),
                expires_at: Some(later(10_000_000)),
            }),
        };
        self.store.issue_tokens(&tokens, NOW).await.unwrap();
        (facts, refresh)
    }

    /// What the model says, and that the database says the same.
    async fn token(&self, facts: &TokenFacts, now: Timestamp) -> Option<Arc<TokenFacts>> {
        let digest = facts.caller.token;
        let recalled = self.store.token_facts(&digest, now).await.unwrap();
        assert_eq!(
            recalled,
            self.store.token_facts_from_database(&digest, now).await.unwrap()
        );
        assert!(self.store.model_agrees().await.unwrap());
        recalled
    }
}

/// One exchange as the use case does it. Returns the successor and the access token with it.
async fn rotate(
    world: &World,
    store: &Store,
    client_id: ClientId,
    token: &RefreshToken,
    now: Timestamp,
) -> (Result<Refreshed, StoreError>, Option<(RefreshToken, Arc<TokenFacts>)>) {
    let mut salt = [0; 32];
    ostler_core::port::Entropy::fill(&*world.entropy, &mut salt);
    let rotation = Rotation {
        now,
        tolerated_since: now - Duration::from_secs(60),
        salt,
    };
    let mut issued = None;
    let issue = |record: &RefreshRecord, salt: &[u8; 32]| {
        let successor = token.successor(salt);
        let facts = world.facts_of(record.customer_id, client_id, record.family_id, now);
        let facts = Arc::new(TokenFacts {
            confirms: Some(token.digest()),
            ..(*facts).clone()
        });
        let refresh = Some(NewRefresh {
            digest: successor.digest(),
            expires_at: Some(now + Duration::from_secs(10_000)),
        });
        issued = Some((successor, Arc::clone(&facts)));
        Some(NewTokens { facts, refresh })
    };
    let refreshed = store.rotate_refresh(&token.digest(), client_id, rotation, issue).await;
    (refreshed, issued)
}

on_both! {
    async fn a_client_is_read_as_it_was_registered(world) {
        let client = world.app().await;
        assert_eq!(world.store.client(client.id).await.unwrap().unwrap().client, client);
        let origins = world.store.cors_origins().await.unwrap();
        assert_eq!(origins.iter().map(ToString::to_string).collect::<Vec<_>>(), ["https://app.example.com"]);
        assert!(world.store.end_client(client.id, Actor::System, later(1)).await.unwrap());
        assert!(world.store.end_client(client.id, Actor::System, later(2)).await.unwrap());
        assert_eq!(world.store.client(client.id).await.unwrap().unwrap().client.ended_at, Some(later(1)));
        assert!(world.store.cors_origins().await.unwrap().is_empty());
        assert!(!world.store.change_client(&client, Actor::System, later(3)).await.unwrap());
        assert!(!world.store.end_client(world.client_id(), Actor::System, NOW).await.unwrap());
    }

    async fn s4_an_address_belongs_to_one_account_in_any_case_of_letters(world) {
        let ada = world.customer("ada").await;
        let email = "ADA@Example.Test".parse().unwrap();
        assert_eq!(world.store.customer_credentials(&email).await.unwrap().unwrap().id, ada);
        let other = ostler_store::NewCustomer {
            id: CustomerId::draw(NOW, &*world.entropy),
            email,
            name: None,
            password_hash: None,
            products: [].into(),
        };
        assert_eq!(world.store.create_customer(&other, Actor::System, NOW).await.unwrap(), Created::Taken);
    }

    async fn a_token_is_what_was_issued_until_its_time_is_over(world) {
        let (ada, client) = (world.customer("ada").await, world.app().await);
        let (facts, _) = world.signed_in(ada, client.id).await;
        assert_eq!(world.token(&facts, NOW).await, Some(Arc::clone(&facts)));
        assert!(world.token(&facts, later(3_599_999)).await.is_some());
        assert!(world.token(&facts, later(3_600_000)).await.is_none());
        let world = world.reopened().await;
        assert_eq!(world.token(&facts, NOW).await, Some(Arc::clone(&facts)));
        world.store.prune_identity(later(3_600_000), NOW).await.unwrap();
        assert!(world.token(&facts, NOW).await.is_none());
    }

    async fn p1_whatever_ends_ends_its_tokens_and_no_others(world) {
        let (ada, bob) = (world.customer("ada").await, world.customer("bob").await);
        let (app, other) = (world.app().await, world.app().await);
        let store = &world.store;
        let (single, _) = world.signed_in(ada, app.id).await;
        let (family, _) = world.signed_in(ada, app.id).await;
        let (client, _) = world.signed_in(bob, other.id).await;
        let (customer, refresh) = world.signed_in(ada, app.id).await;
        let (spared, _) = world.signed_in(bob, app.id).await;
        store.end_access_token(&single.caller.token, Actor::Customer(ada), later(1)).await.unwrap();
        assert!(world.token(&single, later(1)).await.is_none() && world.token(&family, later(1)).await.is_some());
        store.end_family(family.caller.family_id, EndReason::Revoked, Actor::Customer(ada), later(2)).await.unwrap();
        assert!(world.token(&family, later(2)).await.is_none() && world.token(&customer, later(2)).await.is_some());
        store.end_client(other.id, Actor::System, later(3)).await.unwrap();
        assert!(world.token(&client, later(3)).await.is_none());
        store.close_customer(ada, Actor::System, later(4)).await.unwrap();
        assert!(world.token(&customer, later(4)).await.is_none());
        assert_eq!(rotate(&world, store, app.id, &refresh, later(5)).await.0.unwrap(), Refreshed::Refused);
        assert!(world.token(&spared, later(5)).await.is_some());
        store.verify_audit().await.unwrap().unwrap();
    }

    async fn a_code_is_redeemed_once_however_many_try_at_once(world) {
        let (ada, client) = (world.customer("ada").await, world.app().await);
        let code = world.code(ada, client.id).await;
        let tries: Vec<_> = (0..8).map(|_| world.facts_of(ada, client.id, world.family(), NOW)).collect();
        let redeemed = join_all(tries.iter().map(|facts| {
            let tokens = NewTokens { facts: Arc::clone(facts), refresh: None };
            world.store.redeem_code(&code, client.id, later(1), |_| Some(tokens))
        })).await;
        let issued = redeemed.iter().filter(|each| matches!(each, Ok(CodeRedeemed::Issued))).count();
        let reused = redeemed.iter().filter(|each| matches!(each, Ok(CodeRedeemed::Reused(Some(_))))).count();
        assert_eq!((issued, reused), (1, 7));
        // The second coming ended what the first had given.
        for facts in &tries {
            assert!(world.token(facts, later(2)).await.is_none());
        }
    }

    async fn a_code_shown_without_its_proof_is_still_its_holders(world) {
        let (ada, client, other) = (world.customer("ada").await, world.app().await, world.app().await);
        let code = world.code(ada, client.id).await;
        let facts = world.facts_of(ada, client.id, world.family(), NOW);
        let tokens = || Some(NewTokens { facts: Arc::clone(&facts), refresh: None });
        let store = &world.store;
        assert_eq!(store.redeem_code(&code, client.id, NOW, |_| None).await.unwrap(), CodeRedeemed::Refused);
        assert_eq!(store.redeem_code(&code, other.id, NOW, |_| tokens()).await.unwrap(), CodeRedeemed::Refused);
        assert_eq!(store.redeem_code(&code, client.id, later(60_000), |_| tokens()).await.unwrap(), CodeRedeemed::Refused);
        assert_eq!(store.redeem_code(&code, client.id, later(59_999), |_| tokens()).await.unwrap(), CodeRedeemed::Issued);
    }

    async fn one_refresh_token_has_one_successor(world) {
        let (ada, client) = (world.customer("ada").await, world.app().await);
        let (_, first) = world.signed_in(ada, client.id).await;
        let tries = join_all((0..50).map(|_| rotate(&world, &world.store, client.id, &first, later(1)))).await;
        let successors: std::collections::BTreeSet<_> = tries
            .into_iter()
            .map(|(refreshed, issued)| {
                assert_eq!(refreshed.unwrap(), Refreshed::Issued);
                issued.unwrap().0.reveal().to_owned()
            })
            .collect();
        assert_eq!(successors.len(), 1);
    }

    async fn first_use_confirms_that_the_answer_arrived(world) {
        let (ada, client) = (world.customer("ada").await, world.app().await);
        let (_, first) = world.signed_in(ada, client.id).await;
        let (_, issued) = rotate(&world, &world.store, client.id, &first, later(1)).await;
        let (_, access) = issued.unwrap();
        let shown = world.token(&access, later(2)).await.unwrap();
        assert_eq!(shown.confirms, Some(first.digest()));
        world.store.confirm_refresh(&first.digest(), &access.caller.token, later(2)).await.unwrap();
        assert_eq!(world.token(&access, later(2)).await.unwrap().confirms, None);
        let (again, _) = rotate(&world, &world.store, client.id, &first, later(3)).await;
        assert_eq!(again.unwrap(), Refreshed::Reused(access.caller.family_id));
        assert!(world.token(&access, later(3)).await.is_none());
    }

    async fn what_ran_out_is_forgotten_and_reuse_still_recognised(world) {
        let (ada, client) = (world.customer("ada").await, world.app().await);
        let (facts, first) = world.signed_in(ada, client.id).await;
        let (_, issued) = rotate(&world, &world.store, client.id, &first, later(1)).await;
        let (second, _) = issued.unwrap();
        rotate(&world, &world.store, client.id, &second, later(2)).await.0.unwrap();
        world.store.prune_identity(later(4_000_000), NOW).await.unwrap();
        let (again, _) = rotate(&world, &world.store, client.id, &first, later(4_000_001)).await;
        assert_eq!(again.unwrap(), Refreshed::Reused(facts.caller.family_id));
        world.store.prune_identity(later(20_000_000), later(20_000_000)).await.unwrap();
        let (gone, _) = rotate(&world, &world.store, client.id, &first, later(20_000_001)).await;
        assert_eq!(gone.unwrap(), Refreshed::Refused);
        assert!(world.store.model_agrees().await.unwrap());
    }

    async fn a_browsers_session_replaces_the_one_before_and_ends(world) {
        let ada = world.customer("ada").await;
        let store = &world.store;
        let start = async |replaces: Option<SecretDigest>| {
            let digest = SessionSecret::draw(&*world.entropy).digest();
            let id = SessionId::draw(NOW, &*world.entropy);
            let session = LoginSession { id, customer_id: ada, created_at: NOW, expires_at: later(100) };
            store.start_session(digest, &session, replaces).await.unwrap();
            (digest, session)
        };
        let (one, session) = start(None).await;
        assert_eq!(store.session(&one, later(99)).await.unwrap(), Some(session));
        assert_eq!(store.session(&one, later(100)).await.unwrap(), None);
        let (two, _) = start(Some(one)).await;
        assert_eq!(store.session(&one, NOW).await.unwrap(), None);
        store.end_session(&two, later(1)).await.unwrap();
        assert_eq!(store.session(&two, NOW).await.unwrap(), None);
    }
}

/// A machine's products are part of what its token says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_reaches_what_its_client_names() {
    for place in [Place::sqlite(), Place::postgres().await] {
        let world = World::at(place).await;
        let product_id = world.product("thermostat").await;
        let registration = ClientRegistration {
            kind: ClientKind::Confidential,
            flows: vec!["client_credentials".into()],
            scopes: vec!["fleet:read".into()],
            products: Some([product_id].into()),
            ..registration()
        };
        let client = registration.check(ClientId::draw(NOW, &*world.entropy), NOW).unwrap();
        let registered = RegisteredClient {
            client,
            secret_digest: Some(SecretDigest::of("secret")),
        };
        world
            .store
            .create_client(&registered, Actor::System, NOW)
            .await
            .unwrap();
        let reach = ProductReach::Only([product_id].into());
        let mut facts =
            (*world.facts_of(world.customer("ada").await, registered.client.id, world.family(), NOW)).clone();
        facts.caller.who = Principal::Machine {
            products: reach.clone(),
        };
        let tokens = NewTokens {
            facts: Arc::new(facts.clone()),
            refresh: None,
        };
        world.store.issue_tokens(&tokens, NOW).await.unwrap();
        assert_eq!(world.token(&facts, NOW).await.unwrap().caller.reach(), Some(&reach));

        let wider = Client {
            products: ProductReach::All,
            ..registered.client
        };
        assert!(
            world
                .store
                .change_client(&wider, Actor::System, later(1))
                .await
                .unwrap()
        );
        assert!(world.token(&facts, later(1)).await.is_none());
    }
}

/// The answer of a rotation's commit is lost: the client asks again and is told the same successor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_whose_commit_was_lost_is_found_again() {
    for place in [Place::sqlite(), Place::postgres().await] {
        let armed = Arc::new(Armed::default());
        let faults = Arc::clone(&armed) as Arc<dyn FaultPlan>;
        let world = World::with(place, |options| ostler_store::StoreOptions { faults, ..options }).await;
        let (ada, client) = (world.customer("ada").await, world.app().await);
        let (_, first) = world.signed_in(ada, client.id).await;
        armed.arm(&[FaultPoint::CommitLost]);
        let (lost, unheard) = rotate(&world, &world.store, client.id, &first, later(1)).await;
        assert!(matches!(lost, Err(StoreError::CommitUnknown(None))));
        let (unheard, access) = unheard.unwrap();
        let (again, issued) = rotate(&world, &world.store, client.id, &first, later(2)).await;
        assert_eq!(again.unwrap(), Refreshed::Issued);
        assert_eq!(issued.unwrap().0.reveal(), unheard.reveal());
        assert!(world.token(&access, later(2)).await.is_some());
        // An end whose answer was lost is an end.
        armed.arm(&[FaultPoint::CommitLost]);
        let family_id = access.caller.family_id;
        world
            .store
            .end_family(family_id, EndReason::Revoked, Actor::System, later(3))
            .await
            .unwrap_err();
        assert!(world.token(&access, later(3)).await.is_none());
    }
}

/// Two instances at once: whatever interleaves, an ended family's tokens act on neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_a_family_that_ends_while_another_instance_refreshes_it_has_ended() {
    let world = World::postgres().await;
    let second = Store::open(&world.place.url(), options(&Arc::new(Counting::default())), NOW)
        .await
        .unwrap();
    let (ada, client) = (world.customer("ada").await, world.app().await);
    for _ in 0..20 {
        let (facts, first) = world.signed_in(ada, client.id).await;
        let family_id = facts.caller.family_id;
        let ((refreshed, issued), ended) = futures_util::future::join(
            rotate(&world, &second, client.id, &first, later(1)),
            world
                .store
                .end_family(family_id, EndReason::Revoked, Actor::System, later(1)),
        )
        .await;
        ended.unwrap();
        assert!(matches!(refreshed.unwrap(), Refreshed::Issued | Refreshed::Refused));
        for token in [Some(facts), issued.map(|(_, access)| access)].into_iter().flatten() {
            assert!(
                second
                    .token_facts(&token.caller.token, later(1))
                    .await
                    .unwrap()
                    .is_none()
            );
        }
    }
}

/// Two instances redeem one code: one issues, and the other's try ends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_redeem_a_code_once() {
    let world = World::postgres().await;
    let second = Store::open(&world.place.url(), options(&Arc::new(Counting::default())), NOW)
        .await
        .unwrap();
    let (ada, client) = (world.customer("ada").await, world.app().await);
    for _ in 0..20 {
        let code = world.code(ada, client.id).await;
        let (ours, theirs) = (
            world.facts_of(ada, client.id, world.family(), NOW),
            world.facts_of(ada, client.id, world.family(), NOW),
        );
        let redeem = |store, facts: &Arc<TokenFacts>| {
            let tokens = NewTokens {
                facts: Arc::clone(facts),
                refresh: None,
            };
            Store::redeem_code(store, &code, client.id, later(1), |_| Some(tokens))
        };
        let (one, two) = futures_util::future::join(redeem(&world.store, &ours), redeem(&second, &theirs)).await;
        let issued = [one.unwrap(), two.unwrap()]
            .into_iter()
            .filter(|each| *each == CodeRedeemed::Issued)
            .count();
        assert_eq!(issued, 1);
        for facts in [&ours, &theirs] {
            assert!(
                second
                    .token_facts(&facts.caller.token, later(1))
                    .await
                    .unwrap()
                    .is_none()
            );
        }
    }
}
