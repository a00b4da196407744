/*
 * Driver of the qosnets accelerator: C11, without dynamic memory and without an operating system.
 *
 * qosnets_registers.h is generated with the hardware and describes the registers; a driver that is
 * compiled with it works with accelerators of the same design only, which probing checks. Streams
 * (weights, activations, parameters, results) are moved by the platform, for example by DMA.
 *
 * The functions check what they are asked for before they touch the bus: on many platforms an
 * access that the accelerator refuses is an exception. They are to be called from one thread.
 */
#ifndef QOSNETS_H
#define QOSNETS_H

#include <stdbool.h>
#include <stdint.h>

#include "qosnets_registers.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum qosnets_result {
    QOSNETS_OK = 0,
    QOSNETS_BUS_ERROR,        /* an access was refused, or the platform could not make it */
    QOSNETS_NOT_FOUND,        /* no accelerator of this kind at the address */
    QOSNETS_WRONG_VERSION,    /* its registers are not those that this driver knows */
    QOSNETS_WRONG_DESIGN,     /* it is another design than that of qosnets_registers.h */
    QOSNETS_BAD_ARGUMENT,     /* out of the range of this accelerator; nothing was written */
    QOSNETS_QUEUE_FULL,       /* no job can be queued now */
    QOSNETS_TIMEOUT,          /* polled as often as allowed */
    QOSNETS_FAULT,            /* an error bit is set, see qosnets_read_errors */
    QOSNETS_SELF_TEST_FAILED
} qosnets_result_t;

/* Accesses made by the platform. Both return 0, or another value if the access failed. */
typedef struct qosnets_access {
    int (*read32)(void *context, uint32_t offset, uint32_t *value);
    int (*write32)(void *context, uint32_t offset, uint32_t value);
    void *context;
} qosnets_access_t;

/* An accelerator; filled in by probing. */
typedef struct qosnets_device {
    volatile uint32_t *base; /* NULL: accesses are made by the platform */
    qosnets_access_t access;
    uint32_t rows, cols, n_multipliers, n_points;
    uint32_t n_layers, n_tiles, psum_depth, k_max, max_k_tiles;
    uint32_t depthwise_lanes; /* 0: no depthwise mode */
} qosnets_device_t;

/* An entry of the layer table. */
typedef struct qosnets_layer {
    uint32_t k_tiles, n_tiles, base;
    uint8_t last_rows, clamp_low, clamp_high;
    bool depthwise;
} qosnets_layer_t;

/* A job: some output positions of one group of a layer. */
typedef struct qosnets_job {
    uint32_t layer, positions, tile_offset;
    bool last; /* ends the inference */
} qosnets_job_t;

/* Parameters of an output channel at an operating point. */
typedef struct qosnets_parameter {
    uint8_t point, column, shift, weight_zero_point;
    uint32_t tile;
    int32_t bias;
    int16_t mult, offset;
} qosnets_parameter_t;

#define QOSNETS_RECORD_BYTES 16

typedef struct qosnets_counters {
    uint64_t cycles, stall_activations, stall_weights, stall_results;
} qosnets_counters_t;

/* Bits of STATUS that report errors. */
#define QOSNETS_ERRORS                                                          \
    (QOSNETS__STATUS__WRONG_POINT_bm | QOSNETS__STATUS__WRONG_JOB_bm |          \
     QOSNETS__STATUS__WRONG_TABLE_WRITE_bm | QOSNETS__STATUS__STREAM_SHORT_bm | \
     QOSNETS__STATUS__STREAM_LONG_bm)

/* Bits of INTERRUPT_ENABLE and INTERRUPT_PENDING. */
#define QOSNETS_INTERRUPTS                           \
    (QOSNETS__INTERRUPT_ENABLE__INFERENCE_DONE_bm |  \
     QOSNETS__INTERRUPT_ENABLE__POINT_SWITCHED_bm |  \
     QOSNETS__INTERRUPT_ENABLE__ERROR_bm)

/* Find the accelerator: memory-mapped at `base`, or behind the platform's functions. */
qosnets_result_t qosnets_probe_mmio(qosnets_device_t *device, volatile void *base);
qosnets_result_t qosnets_probe_access(qosnets_device_t *device, const qosnets_access_t *access);

/* Write an entry of the layer table; it counts for jobs that start later. */
qosnets_result_t qosnets_load_layer(const qosnets_device_t *device, uint32_t index,
                                    const qosnets_layer_t *layer);

/* Write the first `count` entries of the layer table. */
qosnets_result_t qosnets_load_layers(const qosnets_device_t *device, const qosnets_layer_t *layers,
                                     uint32_t count);

/* Make a record for the parameter stream. */
qosnets_result_t qosnets_pack_parameter(const qosnets_device_t *device,
                                        const qosnets_parameter_t *parameter,
                                        uint8_t record[QOSNETS_RECORD_BYTES]);

/* Queue a job. */
qosnets_result_t qosnets_start_job(const qosnets_device_t *device, const qosnets_job_t *job);

/*
 * Wait for the end of an inference: its last result has been taken. Earlier ends are forgotten by
 * qosnets_acknowledge, errors by qosnets_clear_errors.
 */
qosnets_result_t qosnets_wait_inference(const qosnets_device_t *device, uint32_t max_polls);

/* Ask for an operating point. It becomes active between inferences, at once if none runs. */
qosnets_result_t qosnets_request_point(const qosnets_device_t *device, uint32_t point);

/* Wait until an operating point is active. */
qosnets_result_t qosnets_wait_point(const qosnets_device_t *device, uint32_t point,
                                    uint32_t max_polls);

/* Read the operating points: in force, asked for, of the last result. A NULL is not filled in. */
qosnets_result_t qosnets_read_points(const qosnets_device_t *device, uint32_t *active,
                                     uint32_t *pending, uint32_t *result);

/* Read the error bits of STATUS; clear those given. */
qosnets_result_t qosnets_read_errors(const qosnets_device_t *device, uint32_t *errors);
qosnets_result_t qosnets_clear_errors(const qosnets_device_t *device, uint32_t errors);

/*
 * Recover from whatever happened: begin, end the transfers of all streams (those into the
 * accelerator end by themselves, for it takes and drops everything; the one out of it has to be
 * stopped), then end. Layer table, parameters and operating point are kept.
 */
qosnets_result_t qosnets_begin_recovery(const qosnets_device_t *device);
qosnets_result_t qosnets_end_recovery(const qosnets_device_t *device);

/* Choose which events raise the interrupt. */
qosnets_result_t qosnets_enable_interrupts(const qosnets_device_t *device, uint32_t interrupts);

/* Read the events that are pending, enabled or not, and forget them. NULL: only forget. */
qosnets_result_t qosnets_acknowledge(const qosnets_device_t *device, uint32_t *pending);

/* Set the counters to 0 and let them count; stop them and read them. */
qosnets_result_t qosnets_start_counters(const qosnets_device_t *device);
qosnets_result_t qosnets_stop_counters(const qosnets_device_t *device,
                                       qosnets_counters_t *counters);

/*
 * Test what can be tested without streams: registers, every operating point, interrupts, job
 * queue, counters, refusals. For an accelerator that is idle and does not take its operating point
 * from the pins. Registers are left as they were, except that pending events, error bits and
 * counters are cleared.
 */
qosnets_result_t qosnets_self_test(const qosnets_device_t *device, uint32_t max_polls);

#ifdef __cplusplus
}
#endif

#endif
