//! The use cases of Ostler, one file each, and the port to the device cloud.
//!
//! A use case reads the clock once, loads facts, asks policy, makes the intent durable, acts and
//! writes down what came of it. Nothing here knows HTTP or SQL.

pub mod device_cloud;
