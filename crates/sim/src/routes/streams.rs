//! The families of event streams (reference §8.1) and who may open which.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde::Deserialize;

use super::Shared;
use crate::cloud::Cloud;
use crate::event::View;
use crate::http::{Answer, Call, Refusal};
use crate::limits::StreamFamily;
use crate::stream::{Opening, open};
use crate::world::Scope;

#[derive(Debug, Deserialize)]
pub(super) struct StreamPath {
    #[serde(default)]
    product: Option<String>,
    #[serde(default)]
    id: String,
    /// Starts-with on the event's name; slashes arrive bare or encoded.
    #[serde(default)]
    prefix: String,
}

/// Since 2018 the stream of all public events demands a prefix.
pub(super) async fn without_prefix(State(cloud): Shared, call: Call) -> Answer {
    cloud.world().authenticate(&call.credentials)?;
    Err(Refusal::Missing { field: "event prefix" })
}

pub(super) async fn all(State(cloud): Shared, Path(path): Path<StreamPath>, call: Call) -> Answer {
    let (_, owner) = cloud.world().enter_as_owner(&call.credentials)?;
    start(&cloud, &call, View::PublicAndMine(owner), path, StreamFamily::All)
}

pub(super) async fn mine(State(cloud): Shared, Path(path): Path<StreamPath>, call: Call) -> Answer {
    let (_, owner) = cloud.world().enter_as_owner(&call.credentials)?;
    start(&cloud, &call, View::Mine(owner), path, StreamFamily::Mine)
}

pub(super) async fn product(State(cloud): Shared, Path(path): Path<StreamPath>, call: Call) -> Answer {
    let reference = path.product.clone().unwrap_or_default();
    let (_, product) = cloud
        .world()
        .enter_product(&call.credentials, &reference, Scope::EventsGet)?;
    start(&cloud, &call, View::Product(product), path, StreamFamily::Product)
}

/// One device, on either family of routes.
pub(super) async fn device(State(cloud): Shared, Path(path): Path<StreamPath>, call: Call) -> Answer {
    let Some(product) = &path.product else {
        let (_, id) = cloud.world().owned_device(&call.credentials, &path.id)?;
        return start(&cloud, &call, View::Device(id), path, StreamFamily::Device);
    };
    let view = {
        let world = cloud.world();
        let (_, id) = world.product_device(&call.credentials, product, &path.id, Scope::EventsGet)?;
        View::ProductDevice(world.product_id(product)?, id)
    };
    start(&cloud, &call, view, path, StreamFamily::ProductDevice)
}

fn start(cloud: &Arc<Cloud>, call: &Call, view: View, path: StreamPath, family: StreamFamily) -> Answer {
    open(
        cloud,
        call,
        Opening {
            view,
            prefix: path.prefix,
            family,
        },
    )
}
