//! `ostler audit`: the chains walked from end to end, and signed heads of them for keeping elsewhere.
//! Only reads, so that it works beside a running server.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use ostler_core::port::Clock as _;
use ostler_server::edge::SystemClock;
use ostler_store::{ChainPoint, ChainReport, HeadFault, SignedHead, Store};
use serde_json::json;

use super::{configuration, look};
use crate::commands::{AuditArgs, AuditCommand, ConfigArgs};
use crate::exit::FAILED;
use crate::keys;

pub async fn run(args: &AuditArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        AuditCommand::Verify { config, head, json } => {
            let store = open(config).await?;
            let verdict = verify(&store, head.as_deref()).await;
            store.close().await;
            tell(verdict?, *json)
        }
        AuditCommand::Head { config, out } => {
            let store = open(config).await?;
            let head = store.sign_audit_head(&store.audit_key(), SystemClock.now()).await;
            store.close().await;
            write_head(&head.context("no head was signed")?, out.as_deref())
        }
    }
}

async fn open(args: &ConfigArgs) -> anyhow::Result<Store> {
    let config = configuration(args)?;
    look(&config, keys::read_master_key(&config.master_key_file)?).await
}

/// The inner error is the verdict: something was cut, added or rewritten.
async fn verify(store: &Store, head: Option<&Path>) -> anyhow::Result<Result<Vec<ChainReport>, HeadFault>> {
    let verdict = match head {
        Some(path) => {
            let text = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
            let head: SignedHead =
                serde_json::from_slice(&text).with_context(|| format!("{} is no signed head", path.display()))?;
            store.verify_audit_head(&head, &store.audit_key().public_key()).await
        }
        None => store.verify_audit().await?.map_err(HeadFault::Chain),
    };
    match verdict {
        Err(HeadFault::Store(error)) => Err(error).context("the audit chains cannot be read"),
        verdict => Ok(verdict),
    }
}

fn tell(verdict: Result<Vec<ChainReport>, HeadFault>, json: bool) -> anyhow::Result<ExitCode> {
    match (verdict, json) {
        (Ok(reports), true) => {
            let chains: Vec<ChainPoint> = reports.iter().map(ChainPoint::from).collect();
            println!("{:#}", json!({"ok": true, "chains": chains}));
            Ok(ExitCode::SUCCESS)
        }
        (Ok(reports), false) => {
            for point in reports.iter().map(ChainPoint::from) {
                println!("{}  {} entries  {}", point.chain_id, point.seq, point.hash);
            }
            println!("Every chain verifies.");
            Ok(ExitCode::SUCCESS)
        }
        (Err(fault), true) => {
            println!("{:#}", json!({"ok": false, "fault": fault.to_string()}));
            Ok(ExitCode::from(FAILED))
        }
        (Err(fault), false) => Err(anyhow::Error::new(fault).context("the audit log does not verify")),
    }
}

fn write_head(head: &SignedHead, out: Option<&Path>) -> anyhow::Result<ExitCode> {
    let text = serde_json::to_string_pretty(head).context("the head cannot be written")? + "\n";
    match out {
        None => print!("{text}"),
        Some(path) => {
            // An older head proves about an older time: it is never overwritten.
            let file = OpenOptions::new().write(true).create_new(true).open(path);
            let mut file = file.with_context(|| format!("{} cannot be made", path.display()))?;
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
                .with_context(|| format!("{} cannot be written", path.display()))?;
            println!(
                "{} holds the signed head of {} chain(s)",
                path.display(),
                head.chains.len()
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}
