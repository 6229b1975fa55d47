mod world;

mod durability;
mod facts;
mod grants;
mod ledger;
mod products;
