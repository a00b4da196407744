#include "qosnets.h"

#include <stddef.h>

#define OFFSET(REGISTER) ((uint32_t)offsetof(qosnets_t, REGISTER))
#define FIELD(word, NAME) (((word) & (uint32_t)NAME##_bm) >> NAME##_bp)
#define ON_ERROR_RETURN(call)                         \
    do {                                              \
        const qosnets_result_t call_result = (call);  \
        if (call_result != QOSNETS_OK) {              \
            return call_result;                       \
        }                                             \
    } while (0)

#define COUNTING ((uint32_t)QOSNETS__CONTROL__COUNTING_bm)
#define CLEAR_COUNTERS ((uint32_t)QOSNETS__CONTROL__CLEAR_COUNTERS_bm)
#define SOFT_RESET ((uint32_t)QOSNETS__CONTROL__SOFT_RESET_bm)
#define INFERENCE_DONE ((uint32_t)QOSNETS__INTERRUPT_PENDING__INFERENCE_DONE_bm)
#define POINT_SWITCHED ((uint32_t)QOSNETS__INTERRUPT_PENDING__POINT_SWITCHED_bm)
#define LONGEST_SHIFT 47

static qosnets_result_t read_register(const qosnets_device_t *device, uint32_t offset,
                                      uint32_t *value)
{
    if (device->base != NULL) {
        *value = device->base[offset / sizeof(uint32_t)];
        return QOSNETS_OK;
    }
    return device->access.read32(device->access.context, offset, value) == 0 ? QOSNETS_OK
                                                                             : QOSNETS_BUS_ERROR;
}

static qosnets_result_t write_register(const qosnets_device_t *device, uint32_t offset,
                                       uint32_t value)
{
    if (device->base != NULL) {
        device->base[offset / sizeof(uint32_t)] = value;
        return QOSNETS_OK;
    }
    return device->access.write32(device->access.context, offset, value) == 0 ? QOSNETS_OK
                                                                              : QOSNETS_BUS_ERROR;
}

static qosnets_result_t probe(qosnets_device_t *device)
{
    static const uint32_t hash[] = {
        QOSNETS__OPS_HASH_0__WORD_reset, QOSNETS__OPS_HASH_1__WORD_reset,
        QOSNETS__OPS_HASH_2__WORD_reset, QOSNETS__OPS_HASH_3__WORD_reset,
        QOSNETS__OPS_HASH_4__WORD_reset, QOSNETS__OPS_HASH_5__WORD_reset,
        QOSNETS__OPS_HASH_6__WORD_reset, QOSNETS__OPS_HASH_7__WORD_reset,
    };
    uint32_t word;

    ON_ERROR_RETURN(read_register(device, OFFSET(ID), &word));
    if (word != QOSNETS__ID__ID_reset) {
        return QOSNETS_NOT_FOUND;
    }
    ON_ERROR_RETURN(read_register(device, OFFSET(VERSION), &word));
    if (FIELD(word, QOSNETS__VERSION__MAJOR) != QOSNETS__VERSION__MAJOR_reset ||
        FIELD(word, QOSNETS__VERSION__MINOR) != QOSNETS__VERSION__MINOR_reset) {
        return QOSNETS_WRONG_VERSION;
    }
    for (uint32_t index = 0; index < sizeof hash / sizeof hash[0]; ++index) {
        const uint32_t offset = OFFSET(OPS_HASH_0) + index * (uint32_t)sizeof(uint32_t);
        ON_ERROR_RETURN(read_register(device, offset, &word));
        if (word != hash[index]) {
            return QOSNETS_WRONG_DESIGN;
        }
    }
    ON_ERROR_RETURN(read_register(device, OFFSET(GEOMETRY), &word));
    device->rows = FIELD(word, QOSNETS__GEOMETRY__ROWS);
    device->cols = FIELD(word, QOSNETS__GEOMETRY__COLS);
    device->n_multipliers = FIELD(word, QOSNETS__GEOMETRY__N_MULTIPLIERS);
    device->n_points = FIELD(word, QOSNETS__GEOMETRY__N_POINTS);
    ON_ERROR_RETURN(read_register(device, OFFSET(FEATURES), &word));
    device->depthwise_lanes = FIELD(word, QOSNETS__FEATURES__DEPTHWISE_LANES);
    ON_ERROR_RETURN(read_register(device, OFFSET(CAPACITY_LAYERS), &device->n_layers));
    ON_ERROR_RETURN(read_register(device, OFFSET(CAPACITY_TILES), &device->n_tiles));
    ON_ERROR_RETURN(read_register(device, OFFSET(CAPACITY_PSUM), &device->psum_depth));
    ON_ERROR_RETURN(read_register(device, OFFSET(CAPACITY_K), &device->k_max));
    return read_register(device, OFFSET(CAPACITY_K_TILES), &device->max_k_tiles);
}

qosnets_result_t qosnets_probe_mmio(qosnets_device_t *device, volatile void *base)
{
    if (base == NULL) {
        return QOSNETS_BAD_ARGUMENT;
    }
    *device = (qosnets_device_t){.base = base};
    return probe(device);
}

qosnets_result_t qosnets_probe_access(qosnets_device_t *device, const qosnets_access_t *access)
{
    *device = (qosnets_device_t){.access = *access};
    return probe(device);
}

qosnets_result_t qosnets_load_layer(const qosnets_device_t *device, uint32_t index,
                                    const qosnets_layer_t *layer)
{
    const uint32_t shape =
        (uint32_t)layer->last_rows << QOSNETS__LAYER_SHAPE__LAST_ROWS_bp |
        (uint32_t)layer->clamp_low << QOSNETS__LAYER_SHAPE__CLAMP_LOW_bp |
        (uint32_t)layer->clamp_high << QOSNETS__LAYER_SHAPE__CLAMP_HIGH_bp |
        (uint32_t)layer->depthwise << QOSNETS__LAYER_SHAPE__DEPTHWISE_bp;

    if (index >= device->n_layers || layer->k_tiles > device->max_k_tiles ||
        layer->n_tiles > device->n_tiles || layer->base >= device->n_tiles ||
        layer->last_rows > device->rows || (layer->depthwise && device->depthwise_lanes == 0)) {
        return QOSNETS_BAD_ARGUMENT;
    }
    ON_ERROR_RETURN(write_register(device, OFFSET(LAYER_K_TILES), layer->k_tiles));
    ON_ERROR_RETURN(write_register(device, OFFSET(LAYER_N_TILES), layer->n_tiles));
    ON_ERROR_RETURN(write_register(device, OFFSET(LAYER_BASE), layer->base));
    ON_ERROR_RETURN(write_register(device, OFFSET(LAYER_SHAPE), shape));
    return write_register(device, OFFSET(LAYER_WRITE), index);
}

qosnets_result_t qosnets_load_layers(const qosnets_device_t *device, const qosnets_layer_t *layers,
                                     uint32_t count)
{
    for (uint32_t index = 0; index < count; ++index) {
        ON_ERROR_RETURN(qosnets_load_layer(device, index, &layers[index]));
    }
    return QOSNETS_OK;
}

static void put_little_endian(uint8_t *bytes, uint32_t value, unsigned count)
{
    for (unsigned index = 0; index < count; ++index) {
        bytes[index] = (uint8_t)(value >> (8 * index));
    }
}

qosnets_result_t qosnets_pack_parameter(const qosnets_device_t *device,
                                        const qosnets_parameter_t *parameter,
                                        uint8_t record[QOSNETS_RECORD_BYTES])
{
    if (parameter->point >= device->n_points || parameter->column >= device->cols ||
        parameter->tile >= device->n_tiles || parameter->shift < 1 ||
        parameter->shift > LONGEST_SHIFT) {
        return QOSNETS_BAD_ARGUMENT;
    }
    record[0] = parameter->point;
    record[1] = parameter->column;
    record[2] = parameter->shift;
    record[3] = parameter->weight_zero_point;
    put_little_endian(&record[4], parameter->tile, 4);
    put_little_endian(&record[8], (uint32_t)parameter->bias, 4);
    put_little_endian(&record[12], (uint32_t)parameter->mult, 2);
    put_little_endian(&record[14], (uint32_t)parameter->offset, 2);
    return QOSNETS_OK;
}

qosnets_result_t qosnets_start_job(const qosnets_device_t *device, const qosnets_job_t *job)
{
    uint32_t queue;

    if (job->layer >= device->n_layers || job->positions < 1 ||
        job->positions > device->psum_depth || job->tile_offset >= device->n_tiles) {
        return QOSNETS_BAD_ARGUMENT;
    }
    ON_ERROR_RETURN(read_register(device, OFFSET(JOB_QUEUE), &queue));
    if (FIELD(queue, QOSNETS__JOB_QUEUE__FULL)) {
        return QOSNETS_QUEUE_FULL;
    }
    ON_ERROR_RETURN(write_register(device, OFFSET(JOB_LAYER), job->layer));
    ON_ERROR_RETURN(write_register(device, OFFSET(JOB_POSITIONS), job->positions));
    ON_ERROR_RETURN(write_register(device, OFFSET(JOB_TILE_OFFSET), job->tile_offset));
    return write_register(device, OFFSET(JOB_START), job->last ? 1 : 0);
}

qosnets_result_t qosnets_wait_inference(const qosnets_device_t *device, uint32_t max_polls)
{
    uint32_t pending, errors;

    for (uint32_t poll = 0; poll < max_polls; ++poll) {
        ON_ERROR_RETURN(read_register(device, OFFSET(INTERRUPT_PENDING), &pending));
        if (pending & INFERENCE_DONE) {
            return write_register(device, OFFSET(INTERRUPT_PENDING), INFERENCE_DONE);
        }
        ON_ERROR_RETURN(qosnets_read_errors(device, &errors));
        if (errors) {
            return QOSNETS_FAULT;
        }
    }
    return QOSNETS_TIMEOUT;
}

qosnets_result_t qosnets_request_point(const qosnets_device_t *device, uint32_t point)
{
    if (point >= device->n_points) {
        return QOSNETS_BAD_ARGUMENT;
    }
    return write_register(device, OFFSET(POINT_REQUEST), point);
}

qosnets_result_t qosnets_wait_point(const qosnets_device_t *device, uint32_t point,
                                    uint32_t max_polls)
{
    uint32_t active;

    for (uint32_t poll = 0; poll < max_polls; ++poll) {
        ON_ERROR_RETURN(qosnets_read_points(device, &active, NULL, NULL));
        if (active == point) {
            return QOSNETS_OK;
        }
    }
    return QOSNETS_TIMEOUT;
}

qosnets_result_t qosnets_read_points(const qosnets_device_t *device, uint32_t *active,
                                     uint32_t *pending, uint32_t *result)
{
    uint32_t word;

    ON_ERROR_RETURN(read_register(device, OFFSET(POINT_STATUS), &word));
    if (active != NULL) {
        *active = FIELD(word, QOSNETS__POINT_STATUS__ACTIVE);
    }
    if (pending != NULL) {
        *pending = FIELD(word, QOSNETS__POINT_STATUS__PENDING);
    }
    if (result != NULL) {
        *result = FIELD(word, QOSNETS__POINT_STATUS__RESULT);
    }
    return QOSNETS_OK;
}

qosnets_result_t qosnets_read_errors(const qosnets_device_t *device, uint32_t *errors)
{
    uint32_t status;

    ON_ERROR_RETURN(read_register(device, OFFSET(STATUS), &status));
    *errors = status & QOSNETS_ERRORS;
    return QOSNETS_OK;
}

qosnets_result_t qosnets_clear_errors(const qosnets_device_t *device, uint32_t errors)
{
    ON_ERROR_RETURN(write_register(device, OFFSET(ERROR_CLEAR), errors & QOSNETS_ERRORS));
    return write_register(device, OFFSET(INTERRUPT_PENDING),
                          QOSNETS__INTERRUPT_PENDING__ERROR_bm);
}

static qosnets_result_t write_control(const qosnets_device_t *device, uint32_t set, uint32_t clear)
{
    uint32_t control;

    ON_ERROR_RETURN(read_register(device, OFFSET(CONTROL), &control));
    return write_register(device, OFFSET(CONTROL), (control & ~clear) | set);
}

qosnets_result_t qosnets_begin_recovery(const qosnets_device_t *device)
{
    return write_control(device, SOFT_RESET, 0);
}

qosnets_result_t qosnets_end_recovery(const qosnets_device_t *device)
{
    ON_ERROR_RETURN(write_control(device, 0, SOFT_RESET));
    ON_ERROR_RETURN(qosnets_clear_errors(device, QOSNETS_ERRORS));
    return qosnets_acknowledge(device, NULL);
}

qosnets_result_t qosnets_enable_interrupts(const qosnets_device_t *device, uint32_t interrupts)
{
    if (interrupts & ~(uint32_t)QOSNETS_INTERRUPTS) {
        return QOSNETS_BAD_ARGUMENT;
    }
    return write_register(device, OFFSET(INTERRUPT_ENABLE), interrupts);
}

qosnets_result_t qosnets_acknowledge(const qosnets_device_t *device, uint32_t *pending)
{
    uint32_t events;

    ON_ERROR_RETURN(read_register(device, OFFSET(INTERRUPT_PENDING), &events));
    if (pending != NULL) {
        *pending = events;
    }
    return write_register(device, OFFSET(INTERRUPT_PENDING), events);
}

qosnets_result_t qosnets_start_counters(const qosnets_device_t *device)
{
    return write_control(device, COUNTING | CLEAR_COUNTERS, 0);
}

static qosnets_result_t read_counter(const qosnets_device_t *device, uint32_t offset,
                                     uint64_t *count)
{
    uint32_t low, high;

    ON_ERROR_RETURN(read_register(device, offset, &low));
    ON_ERROR_RETURN(read_register(device, offset + (uint32_t)sizeof(uint32_t), &high));
    *count = (uint64_t)high << 32 | low;
    return QOSNETS_OK;
}

qosnets_result_t qosnets_stop_counters(const qosnets_device_t *device, qosnets_counters_t *counters)
{
    ON_ERROR_RETURN(write_control(device, 0, COUNTING));
    ON_ERROR_RETURN(read_counter(device, OFFSET(CYCLES_LO), &counters->cycles));
    ON_ERROR_RETURN(
        read_counter(device, OFFSET(STALL_ACTIVATIONS_LO), &counters->stall_activations));
    ON_ERROR_RETURN(read_counter(device, OFFSET(STALL_WEIGHTS_LO), &counters->stall_weights));
    return read_counter(device, OFFSET(STALL_RESULTS_LO), &counters->stall_results);
}

static qosnets_result_t expect(const qosnets_device_t *device, uint32_t offset, uint32_t mask,
                               uint32_t expected)
{
    uint32_t value;

    ON_ERROR_RETURN(read_register(device, offset, &value));
    return (value & mask) == expected ? QOSNETS_OK : QOSNETS_SELF_TEST_FAILED;
}

static qosnets_result_t test_storage(const qosnets_device_t *device)
{
    static const uint32_t patterns[] = {0x00000000, 0xFFFFFFFF, 0x55555555, 0xAAAAAAAA, 0x12345678};
    uint32_t before;

    ON_ERROR_RETURN(read_register(device, OFFSET(POINT_HOLD), &before));
    for (uint32_t index = 0; index < sizeof patterns / sizeof patterns[0]; ++index) {
        ON_ERROR_RETURN(write_register(device, OFFSET(POINT_HOLD), patterns[index]));
        ON_ERROR_RETURN(expect(device, OFFSET(POINT_HOLD), 0xFFFFFFFF, patterns[index]));
    }
    return write_register(device, OFFSET(POINT_HOLD), before);
}

static qosnets_result_t test_points(const qosnets_device_t *device, uint32_t max_polls)
{
    uint32_t before, switches, made = 0;

    ON_ERROR_RETURN(qosnets_read_points(device, &before, NULL, NULL));
    ON_ERROR_RETURN(read_register(device, OFFSET(SWITCHES), &switches));
    for (uint32_t step = 1; step <= device->n_points; ++step) {
        const uint32_t point = (before + step) % device->n_points;
        ON_ERROR_RETURN(qosnets_acknowledge(device, NULL));
        ON_ERROR_RETURN(qosnets_request_point(device, point));
        ON_ERROR_RETURN(qosnets_wait_point(device, point, max_polls));
        if (device->n_points > 1) {
            ++made;
            ON_ERROR_RETURN(
                expect(device, OFFSET(INTERRUPT_PENDING), POINT_SWITCHED, POINT_SWITCHED));
        }
    }
    return expect(device, OFFSET(SWITCHES), 0xFFFFFFFF, switches + made);
}

static qosnets_result_t test_soft_reset(const qosnets_device_t *device)
{
    ON_ERROR_RETURN(qosnets_begin_recovery(device));
    ON_ERROR_RETURN(expect(device, OFFSET(CONTROL), SOFT_RESET, SOFT_RESET));
    ON_ERROR_RETURN(expect(device, OFFSET(JOB_QUEUE), QOSNETS__JOB_QUEUE__FULL_bm,
                           QOSNETS__JOB_QUEUE__FULL_bm));
    ON_ERROR_RETURN(qosnets_end_recovery(device));
    ON_ERROR_RETURN(expect(device, OFFSET(JOB_QUEUE), QOSNETS__JOB_QUEUE__FULL_bm, 0));
    ON_ERROR_RETURN(expect(device, OFFSET(STATUS), QOSNETS__STATUS__FAULTED_bm, 0));
    return expect(device, OFFSET(INTERRUPT_PENDING), QOSNETS_INTERRUPTS, 0);
}

static qosnets_result_t test_counters(const qosnets_device_t *device)
{
    qosnets_counters_t counters;

    ON_ERROR_RETURN(qosnets_start_counters(device));
    ON_ERROR_RETURN(qosnets_stop_counters(device, &counters));
    return counters.cycles == 0 ? QOSNETS_OK : QOSNETS_SELF_TEST_FAILED;
}

/* Only where a refused access is reported and not an exception: a constant is not writable, an
   operating point that does not exist sets its error bit. */
static qosnets_result_t test_refusals(const qosnets_device_t *device)
{
    const uint32_t error = QOSNETS__STATUS__WRONG_POINT_bm;

    if (write_register(device, OFFSET(ID), 0) != QOSNETS_BUS_ERROR ||
        write_register(device, OFFSET(POINT_REQUEST), device->n_points) != QOSNETS_BUS_ERROR) {
        return QOSNETS_SELF_TEST_FAILED;
    }
    ON_ERROR_RETURN(expect(device, OFFSET(STATUS), QOSNETS_ERRORS, error));
    ON_ERROR_RETURN(qosnets_clear_errors(device, error));
    return expect(device, OFFSET(STATUS), QOSNETS_ERRORS, 0);
}

qosnets_result_t qosnets_self_test(const qosnets_device_t *device, uint32_t max_polls)
{
    ON_ERROR_RETURN(expect(device, OFFSET(STATUS), QOSNETS__STATUS__BUSY_bm, 0));
    ON_ERROR_RETURN(qosnets_clear_errors(device, QOSNETS_ERRORS));
    ON_ERROR_RETURN(test_storage(device));
    ON_ERROR_RETURN(test_points(device, max_polls));
    ON_ERROR_RETURN(test_soft_reset(device));
    ON_ERROR_RETURN(test_counters(device));
    return device->base == NULL ? test_refusals(device) : QOSNETS_OK;
}
