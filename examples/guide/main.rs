//! The program of the guide, from its second chapter on: `cargo run -p vsr-examples --example guide`. The pages are in `docs/guide`.
#![expect(unreachable_pub, reason = "the reader types `pub`, and gets no such warning")]
mod bank;
mod clerk;
mod promises;
#[cfg(test)]
mod simulation;
mod supervision;
mod telemetry;
mod teller;
mod wire;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    promises::run().await?;
    teller::run().await?;
    clerk::run().await?;
    supervision::run().await?;
    telemetry::run().await?;
    wire::run().await?;
    Ok(())
}
