//! The authorization matrix: every operation of the served document, asked by everybody who might
//! ask. An operation that has no row here fails the test, and so does a row without an operation.
//!
//! What the bodies say is other tests' to judge; here it is who gets in.

use std::collections::BTreeSet;

use crate::operations::{Site, operations};
use crate::world::{Caller, Installation, On, on_both};

/// Who asks, in the order of the columns.
const CALLERS: [&str; 9] = [
    "nobody: no token",
    "stranger: a customer without any grant",
    "narrow: the owner, by a token without the scope",
    "other: a customer with a grant on another device of the product",
    "owner: a customer who may use the device",
    "fleet key: a machine with fleet:* for the product",
    "elsewhere: a machine with fleet:* for another product",
    "maker: a machine with admin:* and fleet:* for all products",
    "staff: a person with the role owner",
];

/// 401: no token that is good. 403: a good one that opens other doors. 404: the door is right, and
/// there is nothing behind it for this caller.
#[rustfmt::skip]
const MATRIX: &[(&str, [u16; 9])] = &[
    // operation                 nobody stranger narrow other owner fleet elsewhere maker staff
    // For anybody
    ("healthz",                   [200,   200,   200,   200,  200,  200,   200,     200,  200]),
    ("readyz",                    [200,   200,   200,   200,  200,  200,   200,     200,  200]),
    ("metadata",                  [200,   200,   200,   200,  200,  200,   200,     200,  200]),
    // For clients by their own credentials; an access token in the header is none
    ("token",                     [200,   401,   401,   401,  401,  401,   401,     401,  401]),
    ("revoke",                    [200,   401,   401,   401,  401,  401,   401,     401,  401]),
    ("introspect",                [200,   401,   401,   401,  401,  401,   401,     401,  401]),
    // For staff by their password
    ("startStaffSession",         [200,   200,   200,   200,  200,  200,   200,     200,  200]),
    // For the device cloud and for devices, by secrets of their own
    ("ingestParticle",            [401,   401,   401,   401,  401,  401,   401,     401,  401]),
    ("registerDevice",            [401,   401,   401,   401,  401,  401,   401,     401,  401]),
    // For customers
    ("getMe",                     [401,   200,   200,   200,  200,  404,   404,     404,  404]),
    ("listDevices",               [401,   200,   403,   200,  200,  403,   403,     403,  403]),
    ("getDevice",                 [401,   404,   403,   404,  200,  403,   403,     403,  403]),
    ("changeDevice",              [401,   404,   403,   404,  200,  403,   403,     403,  403]),
    ("callFunction",              [401,   404,   403,   404,  200,  403,   403,     403,  403]),
    ("getCommand",                [401,   404,   403,   404,  200,  403,   403,     403,  403]),
    ("readVariable",              [401,   404,   403,   404,  200,  403,   403,     403,  403]),
    ("getLatest",                 [401,   404,   403,   404,  200,  403,   403,     403,  403]),
    ("getHistory",                [401,   404,   403,   404,  200,  403,   403,     403,  403]),
    ("listEvents",                [401,   404,   403,   404,  200,  403,   403,     403,  403]),
    // For the maker's machines, each for its products
    ("staffCallFunction",         [401,   403,   403,   403,  403,  200,   404,     200,  200]),
    ("listFleetEvents",           [401,   403,   403,   403,  403,  200,   404,     200,  200]),
    ("getFleetHistory",           [401,   403,   403,   403,  403,  200,   404,     200,  200]),
    ("getFleetLatest",            [401,   403,   403,   403,  403,  200,   404,     200,  200]),
    // For staff, and for machines that do their work
    ("listProducts",              [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("createProduct",             [401,   403,   403,   403,  403,  403,   403,     201,  201]),
    ("getProduct",                [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("changeProduct",             [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("exportProduct",             [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("listProductVersions",       [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("revertProduct",             [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("getCloudConnection",        [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("setCloudConnection",        [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("endCloudConnection",        [401,   403,   403,   403,  403,  403,   403,     204,  204]),
    ("rotateIngestSecret",        [401,   403,   403,   403,  403,  403,   403,     201,  201]),
    ("endFormerIngestSecrets",    [401,   403,   403,   403,  403,  403,   403,     204,  204]),
    ("rotateRegistrationKey",     [401,   403,   403,   403,  403,  403,   403,     201,  201]),
    ("ensureWebhook",             [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("importDevicesFromCloud",    [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("listStaffDevices",          [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("importDevices",             [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("getStaffDevice",            [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("changeStaffDevice",         [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("quarantineDevice",          [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("releaseDevice",             [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("listRejectedEvents",        [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("listCustomers",             [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("createCustomer",            [401,   403,   403,   403,  403,  403,   403,     201,  201]),
    ("getCustomer",               [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("closeCustomer",             [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("listClients",               [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("createClient",              [401,   403,   403,   403,  403,  403,   403,     201,  201]),
    ("getClient",                 [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("changeClient",              [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("replaceClientSecret",       [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("endClient",                 [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("listGrants",                [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("createGrant",               [401,   403,   403,   403,  403,  403,   403,     201,  201]),
    ("getGrant",                  [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("endGrant",                  [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("listStaffCommands",         [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("getStaffCommand",           [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("listAuditEntries",          [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    ("getAuditHead",              [401,   403,   403,   403,  403,  403,   403,     200,  200]),
    // Last, for it ends the session by which it is asked
    ("endStaffSession",           [401,   403,   403,   403,  403,  403,   403,     403,  204]),
];

async fn callers(site: &Site<'_>) -> [Caller; 9] {
    [
        site.installation.anonymous(),
        site.stranger().await,
        site.narrow().await,
        site.neighbour().await,
        site.owner.clone(),
        site.fleet_key(&site.fleet.product_id).await,
        site.fleet_key(&site.spare_product).await,
        site.maker.clone(),
        site.installation.owner().await,
    ]
}

on_both! {
    async fn every_operation_opens_to_whom_it_should(installation) {
        let operations = operations(&installation).await;
        let described: BTreeSet<_> = operations.iter().map(|operation| operation.id.as_str()).collect();
        let judged: BTreeSet<_> = MATRIX.iter().map(|(operation, _)| *operation).collect();
        assert_eq!(described, judged, "the document's operations, and the rows of this table");
        assert_eq!(judged.len(), MATRIX.len(), "no row twice");

        let site = Site::new(&installation).await;
        let callers = callers(&site).await;
        let mut wrong = Vec::new();
        for (id, expected) in MATRIX {
            let operation = operations.iter().find(|operation| operation.id == *id).expect("checked above");
            for ((caller, who), expected) in callers.iter().zip(CALLERS).zip(expected) {
                let answer = site.request_for(operation).await.by(caller).await;
                if answer.status.as_u16() != *expected {
                    wrong.push(format!("{id} by {who}: {expected} expected, not {} {}", answer.status, answer.text));
                }
            }
        }
        assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
        // Whoever was turned away changed nothing at the device.
        let allowed = MATRIX.iter().filter(|(id, _)| id.ends_with("allFunction"));
        let allowed: usize = allowed.map(|(_, row)| row.iter().filter(|status| **status == 200).count()).sum();
        assert_eq!(installation.sim().acts(0).len(), 1 + allowed, "the owner's first call, and those of the table");
    }
}

on_both! {
    async fn a_refusal_for_want_of_a_token_says_how_to_ask(installation) {
        for operation in operations(&installation).await.into_iter().filter(|operation| operation.is_for_customers() || operation.is_for_staff()) {
            if operation.id == "startStaffSession" {
                continue;
            }
            for token in [None, Some("ost_at_made-up"), Some(""), Some("a b"), Some("ost_rt_wrong-kind")] {
                let caller = Caller::new(installation.base(), token.map(str::to_owned));
                let answer = caller.send(caller.request(operation.method.clone(), &operation.path)).await.expect_problem(401, "unauthenticated");
                let challenge = answer.headers["www-authenticate"].to_str().unwrap();
                assert!(challenge.starts_with("Bearer"), "{}: {challenge}", operation.id);
            }
        }
    }
}
