//! Addresses that are fetched from, and those that are not.
//!
//! Closed is what names the host itself or its link: loopback, link-local (where clouds answer with credentials),
//! unspecified, multicast, broadcast, and the forms that hide one of these in IPv6. Private networks are open: that is
//! where the artifacts of a company are.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    base: IpAddr,
    bits: u8,
}

/// The text is no block of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no address and no block of addresses such as 127.0.0.0/8")]
pub struct NoCidr(String);

/// The address at which one cloud answers with credentials over IPv6.
const CLOUD: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

// === impl Cidr ===

impl Cidr {
    /// Whether `address` lies in it. An IPv4 address mapped to IPv6 is the IPv4 address.
    pub fn holds(self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.bits);
                let cut = |ip: Ipv4Addr| u32::from(ip).checked_shr(shift).unwrap_or(0);
                cut(base) == cut(address)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.bits);
                let cut = |ip: Ipv6Addr| u128::from(ip).checked_shr(shift).unwrap_or(0);
                cut(base) == cut(address)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = NoCidr;

    /// `10.0.0.0/8`, `fd00::/8`, or one address.
    fn from_str(text: &str) -> Result<Cidr, NoCidr> {
        let fault = || NoCidr(text.to_owned());
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits)),
            None => (text, None),
        };
        let base = base.parse::<IpAddr>().map_err(|_| fault())?.to_canonical();
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| fault()))?;
        if bits > most { Err(fault()) } else { Ok(Cidr { base, bits }) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

/// Whether `address` may be fetched from.
pub fn is_open(address: IpAddr, allow: &[Cidr]) -> bool {
    let plain = plain(address);
    !is_own(plain) || allow.iter().any(|block| block.holds(address) || block.holds(plain))
}

fn is_own(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.octets()[0] == 0
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
                || v6.is_unspecified()
                || v6 == CLOUD
        }
    }
}

/// The IPv4 address that an IPv6 address stands for, where a gateway or the kernel would take it so.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let parts = v6.segments();
    let v4 =
        |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match parts {
        // NAT64, 6to4, and the old form ::a.b.c.d.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => v4(high, low),
        _ => address.to_canonical(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(address: &str, allow: &[&str]) -> bool {
        let allow: Vec<Cidr> = allow.iter().map(|text| text.parse().expect("a block")).collect();
        is_open(address.parse().expect("an address"), &allow)
    }

    #[test]
    fn the_hosts_own_addresses_are_closed_in_every_form() {
        // Reliability §5.7.
        for closed in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "169.254.169.254",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "::7f00:1",
            "255.255.255.255",
            "::ffff:169.254.169.254",
        ] {
            assert!(!open(closed, &[]), "{closed}");
        }
        for free in ["10.1.2.3", "192.168.0.1", "1.1.1.1", "fd00::1", "2606:4700::1111"] {
            assert!(open(free, &[]), "{free}");
        }
    }

    #[test]
    fn what_is_allowed_is_open_and_nothing_beside_it() {
        assert!(open("127.0.0.1", &["127.0.0.1"]));
        assert!(!open("127.0.0.2", &["127.0.0.1"]));
        assert!(open("127.0.0.2", &["10.0.0.0/8", "127.0.0.0/8"]));
        assert!(open("::ffff:127.0.0.1", &["127.0.0.0/8"]));
        assert!(open("fe80::1", &["fe80::/10"]));
        assert!(open("::1", &["::/0"]));
        assert!(!open("127.0.0.1", &["::/0"]));
        assert!(open("127.0.0.1", &["0.0.0.0/0"]));
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for text in ["", "localhost", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0/8"] {
            assert_eq!(text.parse::<Cidr>(), Err(NoCidr(text.to_owned())));
        }
        assert_eq!("10.0.0.0/8".parse::<Cidr>().expect("a block").to_string(), "10.0.0.0/8");
    }
}
