//! What single arguments may be, and what is said of others.

use std::net::SocketAddr;

/// An echo on a public address would answer forged senders, and a load generator belongs on the own machine.
pub fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "an address is written like 127.0.0.1:8000".to_owned())?;
    if !address.ip().is_loopback() {
        return Err("only loopback addresses are taken, like 127.0.0.1:8000 or [::1]:8000".into());
    }
    Ok(address)
}

/// How long a round lasts.
pub fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=3_600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a round lasts 0.1 to 3600 seconds".into()),
    }
}

/// So many a second.
pub fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (1.0..=5_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("a rate is 1 to 5000000 a second".into()),
    }
}

/// A share of all.
pub fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=0.5).contains(&share) => Ok(share),
        _ => Err("a share is 0 to 0.5".into()),
    }
}

/// A whole number within bounds.
pub fn bounded(least: usize, most: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| match text.parse::<usize>() {
        Ok(value) if (least..=most).contains(&value) => Ok(value),
        _ => Err(format!("a whole number from {least} to {most} is needed")),
    }
}
