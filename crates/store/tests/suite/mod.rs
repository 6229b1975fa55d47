//! One module for each part of the store, and the world that each test makes for itself.

mod world;

mod audit;
mod backups;
mod durability;
mod facts;
mod grants;
mod group_commit;
mod identity;
mod injected;
mod instances;
mod journal;
mod ledger;
mod look;
mod migrations;
mod model;
mod products;
mod registry;
mod telemetry;
