//! Refresh tokens: rotated for apps, kept for linking clients.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use super::door::{Tokens, authorize_path, error, on_both, redirected};

on_both! {
    async fn each_use_replaces_the_token(door) {
        let web = door.web().await;
        let first = door.signed_in(&web).await;
        let second = Tokens::of(&door.refresh(&web, first.refresh()).await);
        let third = Tokens::of(&door.refresh(&web, second.refresh()).await);
        let all: BTreeSet<_> = [&first, &second, &third].map(|tokens| tokens.refresh().to_owned()).into();
        assert_eq!(all.len(), 3);
        assert!(door.is_good(&third.access).await && door.is_good(&first.access).await);
        assert!(door.store.model_agrees().await.unwrap());
    }

    async fn who_lost_the_answer_asks_again_and_gets_the_same(door) {
        let web = door.web().await;
        let first = door.signed_in(&web).await;
        let lost = Tokens::of(&door.refresh(&web, first.refresh()).await);
        door.pass(Duration::from_secs(30));
        let again = Tokens::of(&door.refresh(&web, first.refresh()).await);
        assert_eq!(lost.refresh, again.refresh);
        assert_ne!(lost.access, again.access);
        assert!(door.is_good(&again.access).await);
        assert_eq!(door.refresh(&web, again.refresh()).await.status, 200);
    }

    async fn a_replaced_token_is_not_taken_for_long(door) {
        let web = door.web().await;
        let first = door.signed_in(&web).await;
        let second = Tokens::of(&door.refresh(&web, first.refresh()).await);
        door.pass(Duration::from_millis(30_001));
        assert_eq!(error(&door.refresh(&web, first.refresh()).await), "invalid_grant");
        assert!(!door.is_good(&second.access).await);
        assert_eq!(error(&door.refresh(&web, second.refresh()).await), "invalid_grant");
    }

    async fn reuse_after_the_new_refresh_token_was_used_ends_the_family(door) {
        let web = door.web().await;
        let first = door.signed_in(&web).await;
        let second = Tokens::of(&door.refresh(&web, first.refresh()).await);
        let third = Tokens::of(&door.refresh(&web, second.refresh()).await);
        assert_eq!(error(&door.refresh(&web, first.refresh()).await), "invalid_grant");
        for tokens in [&first, &second, &third] {
            assert!(!door.is_good(&tokens.access).await);
            assert_eq!(error(&door.refresh(&web, tokens.refresh()).await), "invalid_grant");
        }
        assert!(door.store.model_agrees().await.unwrap());
    }

    async fn reuse_after_the_new_access_token_was_used_ends_the_family(door) {
        let web = door.web().await;
        let first = door.signed_in(&web).await;
        let second = Tokens::of(&door.refresh(&web, first.refresh()).await);
        assert!(door.is_good(&second.access).await);
        assert!(door.store.model_agrees().await.unwrap());
        assert_eq!(error(&door.refresh(&web, first.refresh()).await), "invalid_grant");
        assert!(!door.is_good(&second.access).await);
        // The holder's other sign-ins are families of their own.
        assert!(door.is_good(&door.signed_in(&web).await.access).await);
    }

    async fn two_hundred_at_once_yield_one_family_with_one_line_of_tokens(door) {
        let web = door.web().await;
        let first = door.signed_in(&web).await;
        let answers = join_all((0..200).map(|_| door.refresh(&web, first.refresh()))).await;
        let tokens: Vec<_> = answers.iter().map(Tokens::of).collect();
        let lines: BTreeSet<_> = tokens.iter().map(|tokens| tokens.refresh().to_owned()).collect();
        assert_eq!(lines.len(), 1);
        // All belong to the one family: its end ends them.
        assert_eq!(door.form_by(&web, "/oauth/revoke", &[("token", tokens[0].refresh())]).await.status, 200);
        for tokens in tokens.iter().take(20) {
            assert!(!door.is_good(&tokens.access).await);
        }
        assert_eq!(error(&door.refresh(&web, first.refresh()).await), "invalid_grant");
    }

    async fn a_linking_client_keeps_its_token_for_good(door) {
        let linking = door.linking().await;
        // It cannot do PKCE, and need not.
        let path = authorize_path(&linking, &[("code_challenge", ""), ("code_challenge_method", "")]);
        let code = redirected(&door.browser().agree(&path).await)["code"].clone();
        let pairs = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", super::door::CALLBACK)];
        let first = Tokens::of(&door.token(&linking, &pairs).await);
        for _ in 0..3 {
            door.pass(Duration::from_secs(400 * 24 * 3600));
            let answers = join_all((0..5).map(|_| door.refresh(&linking, first.refresh()))).await;
            for answer in answers {
                let tokens = Tokens::of(&answer);
                assert_eq!(tokens.refresh, None);
                assert!(door.is_good(&tokens.access).await);
            }
        }
    }

    async fn a_refresh_token_that_nobody_used_for_long_ends(door) {
        let web = door.web().await;
        let first = door.signed_in(&web).await;
        door.pass(Duration::from_secs(89 * 24 * 3600));
        let second = Tokens::of(&door.refresh(&web, first.refresh()).await);
        door.pass(Duration::from_secs(90 * 24 * 3600));
        assert_eq!(error(&door.refresh(&web, second.refresh()).await), "invalid_grant");
    }
}

on_both! {
    async fn fewer_scopes_may_be_asked_for_and_none_is_lost_by_it(door) {
        let web = door.web().await;
        let first = door.signed_in(&web).await;
        assert_eq!(first.scope, "offline_access devices:read");
        let narrow = [("grant_type", "refresh_token"), ("refresh_token", first.refresh()), ("scope", "devices:read")];
        let second = Tokens::of(&door.token(&web, &narrow).await);
        assert_eq!(second.scope, "devices:read");
        assert_eq!(Tokens::of(&door.refresh(&web, second.refresh()).await).scope, first.scope);
    }

    async fn a_refresh_token_comes_only_with_offline_access(door) {
        let web = door.web().await;
        let path = authorize_path(&web, &[("scope", "devices:read")]);
        let code = redirected(&door.browser().agree(&path).await)["code"].clone();
        assert_eq!(Tokens::of(&door.redeem(&web, &code).await).refresh, None);
    }

    async fn another_clients_refresh_token_is_worth_nothing_and_stays_whole(door) {
        let (web, other) = (door.web().await, door.web().await);
        let tokens = door.signed_in(&web).await;
        assert_eq!(error(&door.refresh(&other, tokens.refresh()).await), "invalid_grant");
        assert_eq!(door.refresh(&web, tokens.refresh()).await.status, 200);
    }
}
