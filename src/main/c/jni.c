/* What Java calls: NativeCpu.java. Addresses come as numbers; their owner keeps the memory open while a call runs. */
#include <jni.h>

#include "dense.h"
#include "product.h"

#define NAME(method) Java_io_github_jmarlin_cpu_NativeCpu_##method

JNIEXPORT jint JNICALL NAME(state)(JNIEnv *env, jclass type, jint set)
{
    (void) env;
    (void) type;
    return state_of((enum instruction_set) set);
}

/* 0 if the buffer is on Java's heap. */
JNIEXPORT jlong JNICALL NAME(address)(JNIEnv *env, jclass type, jobject buffer)
{
    (void) type;
    return (jlong) (intptr_t) (*env)->GetDirectBufferAddress(env, buffer);
}

JNIEXPORT void JNICALL NAME(read)(JNIEnv *env, jclass type, jint set, jlong call, jlong unit)
{
    (void) env;
    (void) type;
    product_of((enum instruction_set) set)->read((const struct call *) (intptr_t) call, unit);
}

JNIEXPORT void JNICALL NAME(multiply)(JNIEnv *env, jclass type, jint set, jlong call, jlong first, jlong end)
{
    (void) env;
    (void) type;
    const struct product *product = product_of((enum instruction_set) set);
    for (jlong strip = first; strip < end; strip++) {
        product->multiply((const struct call *) (intptr_t) call, strip);
    }
}

JNIEXPORT void JNICALL NAME(multiplyDense)(JNIEnv *env, jclass type, jint set, jlong call, jlong weights, jlong first, jlong end)
{
    (void) env;
    (void) type;
    dense_multiply((enum instruction_set) set, (const struct dense_call *) (intptr_t) call,
            (const uint8_t *) (intptr_t) weights, first, end);
}
