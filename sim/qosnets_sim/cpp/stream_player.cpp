// Moves the beats of all streams of a bench, so that Python need not wake up in every cycle.
//
// The bench calls `stream_player_step` at each rising edge of the clock with the handshakes and
// payloads of the cycle that ends there, and gets what to drive in the next one. Descriptions and
// data of the streams lie in the memory of the Python bench: qosnets_sim/streams.py holds the same
// structures and explains their fields.

#include <cstdint>
#include <cstring>

namespace {

enum Role : uint32_t { kSource, kSink, kMonitor };
enum Reason : uint32_t { kNone, kComplete, kQuiet, kStopped };

struct Stream {
    uint8_t* data;
    uint64_t length;
    uint64_t position;
    uint64_t random;
    uint64_t stall;
    uint32_t role;
    uint32_t bytes;
    uint32_t word;
    uint32_t awaited;
    uint32_t active;
    uint32_t unused;
};

struct Player {
    uint64_t cycle;
    uint64_t stop_cycle;
    uint64_t quiet;
    uint64_t quiet_limit;
    uint32_t n_streams;
    uint32_t n_awaited;
    uint32_t waiting;
    uint32_t reason;
    uint32_t event;
    uint32_t unused;
    Stream streams[16];
};

// Steele, Lea and Flood's SplitMix64: a state of one word, any seed will do.
uint64_t draw(uint64_t& state) {
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

bool stalled(Stream& stream) { return stream.stall && draw(stream.random) < stream.stall; }

// Counts the transfer that took place; returns whether there was one.
bool take(Stream& stream, bool handshake, const uint32_t* sampled) {
    const bool moved = stream.role == kMonitor ? handshake : handshake && stream.active;
    if (!moved) return false;
    if (stream.role != kSource && stream.position < stream.length) {
        std::memcpy(stream.data + stream.position * stream.bytes, sampled + stream.word,
                    stream.bytes);
    }
    ++stream.position;
    return true;
}

// Chooses what to drive; a beat once offered stays until it is taken.
void offer(Stream& stream, bool moved, uint32_t* offered) {
    const bool left = stream.position < stream.length;
    if (stream.role == kSource) {
        const bool waiting = stream.active && !moved;
        stream.active = left && (waiting || !stalled(stream));
        if (stream.active) {
            std::memcpy(offered + stream.word, stream.data + stream.position * stream.bytes,
                        stream.bytes);
        }
    } else if (stream.role == kSink) {
        stream.active = left && !stalled(stream);
    }
}

}  // namespace

// Words 0 hold a bit per stream: valid of sinks and ready of sources in `sampled`, the opposite in
// `offered`; of a monitor, both at once. Word 1 of `offered` changes when a wait has ended. The
// little-endian payload of a stream begins at its `word`.
extern "C" void stream_player_step(long long address, const uint32_t* sampled, uint32_t* offered) {
    Player& player = *reinterpret_cast<Player*>(address);
    bool any_moved = false, complete = player.n_awaited > 0;
    uint32_t active = 0;
    for (uint32_t index = 0; index < player.n_streams; ++index) {
        Stream& stream = player.streams[index];
        const bool moved = take(stream, (sampled[0] >> index) & 1, sampled);
        offer(stream, moved, offered);
        any_moved |= moved;
        complete &= !stream.awaited || stream.position >= stream.length;
        active |= stream.active << index;
    }
    ++player.cycle;
    player.quiet = any_moved ? 0 : player.quiet + 1;
    if (player.waiting) {
        player.reason = complete                                ? kComplete
                        : player.cycle >= player.stop_cycle     ? kStopped
                        : player.quiet >= player.quiet_limit    ? kQuiet
                                                                : kNone;
        if (player.reason != kNone) {
            player.waiting = 0;
            player.event ^= 1;
        }
    }
    offered[0] = active;
    offered[1] = player.event;
}
