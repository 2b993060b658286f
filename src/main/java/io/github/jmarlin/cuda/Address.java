package io.github.jmarlin.cuda;

import jcuda.Pointer;
import jcuda.driver.CUdeviceptr;

/** JCuda hides the address in its pointers; subclasses may look at it and make pointers from one. */
final class Address {

    private static final class Device extends CUdeviceptr {
        Device(CUdeviceptr other) {
            super(other);
        }

        Device(long address) {
            super(new CUdeviceptr(), address);
        }

        long value() {
            return getNativePointer() + getByteOffset();
        }
    }

    private static final class Host extends Pointer {
        Host(Pointer other) {
            super(other);
        }

        Host(long address) {
            super(address);
        }

        long value() {
            return getNativePointer() + getByteOffset();
        }
    }

    private Address() {
    }

    static long of(CUdeviceptr pointer) {
        return new Device(pointer).value();
    }

    /** Of a pointer to native host memory; not of one to a Java buffer or array. */
    static long of(Pointer pointer) {
        return new Host(pointer).value();
    }

    static CUdeviceptr device(long address) {
        return new Device(address);
    }

    static Pointer host(long address) {
        return new Host(address);
    }
}
