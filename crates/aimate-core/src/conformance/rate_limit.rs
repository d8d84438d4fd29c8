use std::time::Duration;

use futures_util::future::join_all;

use super::world::{World, at};
use crate::Stores;
use crate::clock::Timestamp;
use crate::rate_limit::{RateBucket, RateLimit, RequestClass};

/// One a second, five at once.
const LIMIT: RateLimit = RateLimit { per_minute: 60, burst: 5 };

async fn take(stores: &Stores, bucket: &RateBucket, wanted: u32, now: Timestamp) -> u32 {
    stores.limits.take(bucket, LIMIT, wanted, now).await.unwrap().granted
}

pub async fn full_bucket_gives_its_burst(stores: &Stores) {
    let w = World::new(stores).await;
    let bucket = RateBucket::of_user(&w.me, RequestClass::Chat);
    let first = stores.limits.take(&bucket, LIMIT, 3, at(0)).await.unwrap();
    assert_eq!((first.granted, first.next_at), (3, at(-1)));
    let rest = stores.limits.take(&bucket, LIMIT, 9, at(0)).await.unwrap();
    assert_eq!((rest.granted, rest.next_at), (2, at(1)));
    let none = stores.limits.take(&bucket, LIMIT, 1, at(0)).await.unwrap();
    assert_eq!((none.granted, none.next_at), (0, at(1)));
    let other = RateBucket::of_user(&w.other, RequestClass::Chat);
    assert_eq!(take(stores, &other, 1_000, at(0)).await, 5);
}

pub async fn empty_bucket_fills_again(stores: &Stores) {
    let w = World::new(stores).await;
    let bucket = RateBucket::of_user(&w.me, RequestClass::Read);
    assert_eq!(take(stores, &bucket, 5, at(0)).await, 5);
    let almost = at(1).minus(Duration::from_micros(1));
    assert_eq!(take(stores, &bucket, 5, almost).await, 0);
    assert_eq!(take(stores, &bucket, 5, at(1)).await, 1);
    assert_eq!(take(stores, &bucket, 5, at(4)).await, 3);
    // It holds no more than its burst, however long nobody comes.
    assert_eq!(take(stores, &bucket, 9, at(10_000)).await, 5);
}

pub async fn calls_at_once_get_no_more_than_there_is(stores: &Stores) {
    let w = World::new(stores).await;
    let bucket = RateBucket::of_user(&w.me, RequestClass::Write);
    let limit = RateLimit { per_minute: 1, burst: 20 };
    let takes = (0..50).map(|n| stores.limits.take(&bucket, limit, 1 + n % 3, at(0)));
    let granted: u32 = join_all(takes).await.into_iter().map(|taken| taken.unwrap().granted).sum();
    assert_eq!(granted, 20);
}

pub async fn buckets_are_apart(stores: &Stores) {
    let w = World::new(stores).await;
    let address = |text: &str| RateBucket::of_address(text.parse().unwrap(), RequestClass::Auth);
    let buckets = [
        RateBucket::of_user(&w.me, RequestClass::Chat),
        RateBucket::of_user(&w.me, RequestClass::Search),
        RateBucket::of_user(&w.other, RequestClass::Chat),
        RateBucket::of_user(&w.stranger, RequestClass::Chat),
        address("192.0.2.1"),
        address("192.0.2.2"),
        address("2001:db8::1"),
    ];
    for bucket in &buckets {
        assert_eq!(take(stores, bucket, 9, at(0)).await, 5, "{bucket:?}");
        assert_eq!(take(stores, bucket, 9, at(0)).await, 0, "{bucket:?}");
    }
}

pub async fn what_is_given_back_comes_again(stores: &Stores) {
    let w = World::new(stores).await;
    let bucket = RateBucket::of_user(&w.me, RequestClass::Chat);
    assert_eq!(take(stores, &bucket, 5, at(0)).await, 5);
    stores.limits.give_back(&bucket, LIMIT, 2).await.unwrap();
    assert_eq!(take(stores, &bucket, 5, at(0)).await, 2);
    // Of a bucket that filled meanwhile, it makes no more than there is.
    stores.limits.give_back(&bucket, LIMIT, 5).await.unwrap();
    assert_eq!(take(stores, &bucket, 9, at(100)).await, 5);
    let unknown = RateBucket::of_user(&w.other, RequestClass::Chat);
    stores.limits.give_back(&unknown, LIMIT, 5).await.unwrap();
    assert_eq!(take(stores, &unknown, 9, at(0)).await, 5);
}

pub async fn another_limit_or_clock_locks_nobody_out(stores: &Stores) {
    let w = World::new(stores).await;
    let bucket = RateBucket::of_user(&w.me, RequestClass::Chat);
    let slow = RateLimit { per_minute: 1, burst: 600 };
    assert_eq!(stores.limits.take(&bucket, slow, 600, at(0)).await.unwrap().granted, 600);
    let now = stores.limits.take(&bucket, LIMIT, 5, at(0)).await.unwrap();
    assert_eq!((now.granted, now.next_at), (0, at(1)));
    assert_eq!(take(stores, &bucket, 5, at(1)).await, 1);
    // A process whose clock is an hour ahead.
    assert_eq!(take(stores, &bucket, 5, at(3_600)).await, 5);
    assert_eq!(take(stores, &bucket, 5, at(2)).await, 0);
    assert_eq!(take(stores, &bucket, 5, at(3)).await, 1);
}

pub async fn full_buckets_are_forgotten(stores: &Stores) {
    let w = World::new(stores).await;
    let [full, empty] = [&w.me, &w.other].map(|scope| RateBucket::of_user(scope, RequestClass::Chat));
    take(stores, &full, 1, at(0)).await;
    take(stores, &empty, 5, at(0)).await;
    assert_eq!(stores.limits.clear(at(2)).await.unwrap(), 1);
    assert_eq!(stores.limits.clear(at(2)).await.unwrap(), 0);
    assert_eq!(take(stores, &empty, 5, at(2)).await, 2);
    assert_eq!(take(stores, &full, 9, at(2)).await, 5);
}

pub async fn deleted_user_takes_their_buckets(stores: &Stores) {
    let w = World::new(stores).await;
    let bucket = RateBucket::of_user(&w.me, RequestClass::Chat);
    let kept = RateBucket::of_user(&w.other, RequestClass::Chat);
    for bucket in [&bucket, &kept] {
        assert_eq!(take(stores, bucket, 5, at(0)).await, 5);
    }
    stores.users.delete(&w.admin, w.me.user).await.unwrap();
    assert_eq!(stores.limits.clear(at(10_000)).await.unwrap(), 1);
}
