//! Cancelling what runs on a connection.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::{ConnectError, Route};
use crate::wire::{CancelKey, cancel_request};

/// Asks the server to cancel what runs on the connection of this key, and waits until it has closed: only then has the signal
/// been sent. Nothing says whether something was cancelled.
///
/// # Errors
/// If the request could not be delivered in time.
pub async fn cancel(route: &Route, key: &CancelKey) -> Result<(), ConnectError> {
    let delivered = async {
        let mut stream = route.dial().await?;
        stream.write_all(&cancel_request(key)).await.map_err(ConnectError::Io)?;
        stream.flush().await.map_err(ConnectError::Io)?;
        // A server closes without a word; an end of TLS without its farewell is an end all the same.
        let _ = stream.read(&mut [0]).await;
        Ok(())
    };
    timeout(route.connect_time_max, delivered).await.unwrap_or(Err(ConnectError::TimedOut))
}
